package cgroup

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Membership is the group of a process in each hierarchy, as /proc/<pid>/cgroup has it: paths are
// relative to the root of the reader's cgroup namespace and may begin with "/..".
type Membership struct {
	paths [controllers]string // "" where there is no such hierarchy
}

// ParseMembership parses /proc/<pid>/cgroup; see cgroups(7). Malformed lines are skipped, and the
// first one is the error.
func ParseMembership(data []byte) (Membership, error) {
	var m Membership
	var first error
	for line := range bytes.Lines(data) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		id, rest, ok := bytes.Cut(line, []byte(":"))
		names, dir, ok2 := bytes.Cut(rest, []byte(":"))
		if !ok || !ok2 || len(dir) == 0 || dir[0] != '/' {
			first = cmp.Or(first, fmt.Errorf("%q is not hierarchy:controllers:/path", line))
			continue
		}
		list := strings.Split(string(names), ",")
		for c := range controllers {
			if c == unified && string(id) == "0" && len(names) == 0 ||
				c != unified && slices.Contains(list, controllerNames[c]) {
				m.paths[c] = string(dir)
			}
		}
	}
	return m, first
}

// Container returns the id of the innermost container that the process is in, and the membership of
// that container's groups, which may be above the process's own. If the process is in no visible
// container, the id is "" and the membership is m.
func (m Membership) Container() (id string, of Membership) {
	for c, p := range m.paths {
		if found, above := containerOf(p); found != "" {
			id, of.paths[c] = found, above
		}
	}
	if id == "" {
		return "", m
	}
	return id, of
}

// containerOf returns the innermost container in a path, and the path of its group.
func containerOf(p string) (id, group string) {
	for end := len(p); end > 0; {
		start := strings.LastIndexByte(p[:end], '/')
		if id = ContainerID(p[start+1 : end]); id != "" {
			return id, p[:end]
		}
		end = start
	}
	return "", ""
}

// Sibling reports whether two groups have the same parent. The containers of a pod are siblings; so
// are all containers that Docker starts outside of pods.
func (m Membership) Sibling(other Membership) bool {
	a, b := m.identity(), other.identity()
	return a != "" && b != "" && parent(a) == parent(b)
}

// Within reports whether the group is other or below it.
func (m Membership) Within(other Membership) bool {
	a, b := m.identity(), other.identity()
	rest, ok := strings.CutPrefix(a, strings.TrimSuffix(b, "/"))
	if !ok || a == "" || b == "" {
		return false
	}
	return (rest == "" || rest[0] == '/') && !strings.HasPrefix(rest, "/..")
}

// identity is the path that identifies the group: that of the memory controller, which container
// runtimes always use, else of any.
func (m Membership) identity() string {
	for _, p := range m.paths {
		if p != "" {
			return p
		}
	}
	return ""
}

// parent is the path of the parent; the parent of the namespace's root "/" is "/..". path.Dir would
// drop the "..".
func parent(p string) string {
	if p == "/" || strings.HasSuffix(p, "/..") {
		return strings.TrimSuffix(p, "/") + "/.."
	}
	return p[:strings.LastIndexByte(p, '/')]
}
