package cgroup

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Membership holds the path of a process's cgroup in each hierarchy, as listed in
// /proc/<pid>/cgroup. Paths are relative to the root of the reader's cgroup namespace and may begin
// with "/..".
type Membership struct {
	paths [controllers]string // "" if the hierarchy does not exist
}

// ParseMembership parses /proc/<pid>/cgroup; see cgroups(7). It skips malformed lines, and returns
// an error about the first one.
func ParseMembership(data []byte) (Membership, error) {
	var m Membership
	var first error
	for line := range bytes.Lines(data) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		id, rest, ok := bytes.Cut(line, []byte(":"))
		names, dir, ok2 := bytes.Cut(rest, []byte(":"))
		if !ok || !ok2 || len(dir) == 0 || dir[0] != '/' {
			first = cmp.Or(first, fmt.Errorf("expected hierarchy:controllers:/path, got %q", line))
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

// Container returns the id of the innermost container that the process is in, and a Membership with
// that container's cgroups, which may be ancestors of the process's cgroups. If the process is in
// no visible container, Container returns "" and m.
func (m Membership) Container() (id string, container Membership) {
	for c, p := range m.paths {
		if found, above := containerOf(p); found != "" {
			id, container.paths[c] = found, above
		}
	}
	if id == "" {
		return "", m
	}
	return id, container
}

// containerOf returns the id of the innermost container in the path p, and the path of the
// container's cgroup.
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

// Sibling reports whether m and other have the same parent cgroup. The containers of a pod are
// siblings, and so are all containers that Docker starts outside of pods.
func (m Membership) Sibling(other Membership) bool {
	a, b := m.identity(), other.identity()
	return a != "" && b != "" && parent(a) == parent(b)
}

// Within reports whether m's cgroup is other's cgroup or one of its descendants.
func (m Membership) Within(other Membership) bool {
	a, b := m.identity(), other.identity()
	rest, ok := strings.CutPrefix(a, strings.TrimSuffix(b, "/"))
	if !ok || a == "" || b == "" {
		return false
	}
	return (rest == "" || rest[0] == '/') && !strings.HasPrefix(rest, "/..")
}

// identity returns the path that identifies the cgroup: its path in the hierarchy of the memory
// controller, which container runtimes always use, or else in the first hierarchy that has it.
func (m Membership) identity() string {
	for _, p := range m.paths {
		if p != "" {
			return p
		}
	}
	return ""
}

// parent returns the path of the cgroup above p. Unlike path.Dir, it returns "/.." for "/", the
// root of the namespace.
func parent(p string) string {
	if p == "/" || strings.HasSuffix(p, "/..") {
		return strings.TrimSuffix(p, "/") + "/.."
	}
	return p[:strings.LastIndexByte(p, '/')]
}
