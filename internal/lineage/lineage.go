// Package lineage finds the process's cgroups and their ancestors, any of which may limit the
// process.
package lineage

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Group is a cgroup of the process, or an ancestor of one. It need not exist: in a container, /proc
// may show the path on the host although only the top of the mount exists, which is then the
// process's cgroup.
type Group struct {
	Dir string
	V2  bool // version 2, in which all controllers share a cgroup
}

// Membership is the standard path of the list of a process's cgroups on Linux, and Mount that of
// the cgroup mount point.
const (
	Membership = "/proc/self/cgroup"
	Mount      = "/sys/fs/cgroup"
)

// Of returns the cgroups for the version 1 controller and for version 2, each followed by its
// ancestors, innermost first. Cgroups that cannot be read or parsed are omitted. See cgroups(7).
func Of(membership, mount, controller string) (groups []Group) {
	data, err := os.ReadFile(membership)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		// the line has the form hierarchy:controllers:path; for version 2 controllers is empty
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
