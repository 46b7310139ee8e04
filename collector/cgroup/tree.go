package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Config selects the process whose mounts are used to read cgroups. The zero Config selects the
// calling process.
type Config struct {
	ProcRoot string // the proc file system; "/proc" if empty
	Process  string // a pid; "self" if empty
	Prefix   string // prepended to every mount point: /proc/<pid>/root for another process's mounts
	// directory at or below which the host's hierarchies are mounted; if set, other mounts are
	// ignored
	Below string
}

// Tree is the mounted part of the cgroup hierarchies, as a process sees it. It is immutable and
// safe for concurrent use.
type Tree struct {
	views [controllers]view
	id    string
}

// Open finds the mounted hierarchies. It reads mountinfo and, if a mount shows cgroups above the
// root of the cgroup namespace, walks that mount once to find the namespace's root.
//
// An error with a nil Tree means that no hierarchy is mounted. An error with a Tree means that
// parts of mountinfo were malformed.
func Open(cfg Config) (*Tree, error) {
	file := path.Join(cmp.Or(cfg.ProcRoot, "/proc"), cmp.Or(cfg.Process, "self"), "mountinfo")
	var r kernfile.Reader
	data, err := r.Read(file)
	if err != nil {
		return nil, err
	}
	all, err := parseMounts(data)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	t := &Tree{id: idFromMounts(data)}
	found := false
	for c, ms := range all {
		if m, ok := choose(ms, cfg.Below); ok {
			t.views[c] = newView(m, ms, cfg.Prefix, t.id)
			found = true
		}
	}
	switch {
	case found:
		return t, err
	case cfg.Below != "":
		return nil, fmt.Errorf("%s: no cgroup file system is mounted at or below this directory", cfg.Below)
	}
	return nil, errors.Join(fmt.Errorf("%s: no cgroup file system is mounted", file), err)
}

// choose returns the mount to read: the first one in ms at or below the given directory. If no
// directory is given, it prefers a mount at or below /sys/fs/cgroup, and falls back to the first
// one in ms.
func choose(ms []proc.Mount, below string) (proc.Mount, bool) {
	dir := cmp.Or(below, "/sys/fs/cgroup")
	for _, m := range ms {
		if within(m.Point, filepath.Clean(dir)) {
			return m, true
		}
	}
	if below != "" || len(ms) == 0 {
		return proc.Mount{}, false
	}
	return ms[0], true
}

// within reports whether the path p is dir or below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// ContainerID returns the id of the container of the process with the membership m, or "" if the
// process is not in a container. It looks for the id in the name of the process's cgroup, then in
// the name of the namespace's root if a mount shows that name, then in the paths of files that the
// container runtime mounted.
func (t *Tree) ContainerID(m Membership) string {
	if id, _ := m.Container(); id != "" {
		return id
	}
	for c, p := range m.paths {
		if rel, ok := t.views[c].resolve(p); ok {
			if id, _ := containerOf(rel); id != "" {
				return id
			}
		}
	}
	return t.id
}

// Lineage returns the cgroup of the membership m, followed by its ancestors up to the visible root,
// deepest first. If m's cgroup is below a container's, Lineage starts from the container's cgroup.
// A process may be in cgroups with different paths in the v1 hierarchies; then Lineage returns all
// of these cgroups and their ancestors, each with the controllers that it has. An error means that
// no cgroup is visible or that some cgroup is not readable.
func (t *Tree) Lineage(m Membership) ([]*Group, error) {
	groups := map[string]*Group{}
	var errs []error
	own := ""
	for c := range controllers {
		rel, err := t.locate(c, m)
		if err != nil {
			errs = append(errs, err)
		}
		if rel == "" {
			continue
		}
		if own == "" {
			own = rel
		}
		t.ascend(groups, c, rel)
	}
	if len(groups) == 0 && errs == nil {
		return nil, fmt.Errorf("cgroup %s is not visible here", m.identity())
	}
	return lineage(groups, own), errors.Join(errs...)
}

// ascend adds the cgroup at the path rel in c's hierarchy, and all of its ancestors, to groups.
func (t *Tree) ascend(groups map[string]*Group, c controller, rel string) {
	for p := rel; ; p = path.Dir(p) {
		if groups[p] == nil {
			groups[p] = &Group{Path: p}
		}
		groups[p].dirs[c] = t.views[c].dir + strings.TrimSuffix(p, "/")
		if p == "/" {
			return
		}
	}
}

// locate returns the path, in c's hierarchy, of m's cgroup or, if that cgroup is below a
// container's, of the container's cgroup. It returns "" if the cgroup is not visible, and an error
// if it is not readable.
func (t *Tree) locate(c controller, m Membership) (string, error) {
	rel, ok := t.views[c].resolve(m.paths[c])
	if !ok {
		return "", nil
	}
	if id, above := containerOf(rel); id != "" {
		rel = above
	}
	if _, err := os.Stat(t.views[c].dir + rel); err != nil {
		return "", ignoreAbsent(err)
	}
	return rel, nil
}

// lineage returns the given cgroups as a list: first the cgroup with the path own, then the others
// from the deepest to the root.
func lineage(groups map[string]*Group, own string) []*Group {
	list := make([]*Group, 0, len(groups))
	for _, g := range groups {
		g.init()
		list = append(list, g)
	}
	rank := func(g *Group) int {
		switch g.Path {
		case own:
			return -1 << 20
		case "/":
			return 0
		}
		return -strings.Count(g.Path, "/")
	}
	slices.SortFunc(list, func(a, b *Group) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a.Path, b.Path)
	})
	return list
}
