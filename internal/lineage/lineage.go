// Package lineage finds the process's cgroups and their ancestors, any of which may limit the
// process.
package lineage

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Group is a cgroup of the process, or an ancestor of one. Dir need not exist: in a container,
// /proc may show the cgroup's path on the host, although the mount contains nothing but the
// process's cgroup, at its top.
type Group struct {
	Dir string
	V2  bool // version 2, in which all controllers share a cgroup
}

// Membership is the file that lists the process's cgroups on Linux, and Mount is the standard mount
// point of cgroups.
const (
	Membership = "/proc/self/cgroup"
	Mount      = "/sys/fs/cgroup"
)

// Of returns the process's cgroup for the given version 1 controller and its version 2 cgroup, each
// followed by its ancestors, innermost first. membership is the path of the process's cgroup file,
// and mount the directory in which cgroups are mounted. Of ignores lines that cannot be parsed, and
// returns nil if the file cannot be read. See cgroups(7).
func Of(membership, mount, controller string) (groups []Group) {
	data, err := os.ReadFile(membership)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		// The line has the form hierarchy:controllers:path. For version 2, controllers is empty.
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		top, v2 := mount, true
		switch {
		case strings.Contains(","+fields[1]+",", ","+controller+","):
			top, v2 = filepath.Join(mount, controller), false
		case fields[1] != "":
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			groups = append(groups, Group{filepath.Join(top, filepath.FromSlash(group)), v2})
			if group == "/" {
				break
			}
		}
	}
	return groups
}
