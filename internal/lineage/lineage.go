// Package lineage finds the control groups that the process is in, and those around them: any of
// them may limit it.
package lineage

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Group is a control group that the process is in, or one around it. It need not exist: in a
// container the path of the host may show, and then only the top of the mount is there, which is
// the group itself.
type Group struct {
	Dir string
	V2  bool // of version 2, where all controllers share a group
}

// Membership and Mount are where Linux has them.
const (
	Membership = "/proc/self/cgroup"
	Mount      = "/sys/fs/cgroup"
)

// Of returns the groups of the version 1 controller and of version 2, each with those around it,
// the innermost first. What cannot be read or is malformed is left out. See cgroups(7).
func Of(membership, mount, controller string) (groups []Group) {
	data, err := os.ReadFile(membership)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		// hierarchy:controllers:path; version 2 has no controllers
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
