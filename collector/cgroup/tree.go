package cgroup

import (
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

// Config says whose view of the control groups to take. The zero Config is the own process's.
type Config struct {
	ProcRoot string // the proc file system; "/proc" if empty
	Process  string // whose mounts: a pid, or "self" if empty
	Prefix   string // put before every mount point: /proc/<pid>/root for another process's mounts
	// take only mounts at or below this directory, where the host's hierarchy is mounted
	Below string
}

// Mode is the arrangement of the hierarchies.
type Mode string

// The arrangements: v1 only, v2 only, and v1 with a v2 hierarchy beside it.
const (
	Legacy  Mode = "v1"
	Unified Mode = "v2"
	Hybrid  Mode = "hybrid"
)

// Tree is the part of the control group hierarchies that is mounted where a process can see it. It
// does not change and may be used concurrently.
type Tree struct {
	views [controllers]view
	id    string
}

// Open finds the mounted hierarchies. It reads mountinfo and, where a mount shows groups above the
// root of the cgroup namespace, walks that mount once to find this root: about 50 ms on a node with
// a thousand groups.
//
// An error with a nil Tree says that no hierarchy is mounted; one beside a Tree, which parts of
// mountinfo were malformed.
func Open(cfg Config) (*Tree, error) {
	file := path.Join(orDefault(cfg.ProcRoot, "/proc"), orDefault(cfg.Process, "self"), "mountinfo")
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
		return nil, fmt.Errorf("%s: no control group file system is mounted at or below it", cfg.Below)
	}
	return nil, errors.Join(fmt.Errorf("%s: no control group file system is mounted", file), err)
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// choose picks the mount to read: the first at or below a directory, by default the usual one, else
// the first of all.
func choose(ms []proc.Mount, below string) (proc.Mount, bool) {
	dir := orDefault(below, "/sys/fs/cgroup")
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

func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// Mode returns the arrangement of the hierarchies.
func (t *Tree) Mode() Mode {
	v2 := t.views[unified].dir != ""
	v1 := t.views[memory].dir != "" || t.views[cpu].dir != "" || t.views[cpuacct].dir != ""
	switch {
	case v1 && v2:
		return Hybrid
	case v1:
		return Legacy
	}
	return Unified
}

// ContainerID returns the id of the container that a process with this tree is in, which its
// membership may hide: by the name of its group, by that of the namespace's root where a mount
// shows it, or by the files that the runtime mounted; "" if none.
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

// Lineage returns the group of a membership, or of the container that it is below, and its
// ancestors up to the visible root, deepest first. Where the v1 hierarchies put a process into
// groups of different paths, all these groups and their ancestors are there, each with the
// controllers that it has. An error says that no group is visible or may be read.
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
		return nil, fmt.Errorf("control group %s is not visible here", m.identity())
	}
	return lineage(groups, own), errors.Join(errs...)
}

// ascend gives the group at a path of one hierarchy, and every group above it, its directory.
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

// locate returns the path of the group of a membership, or of the container that it is below, in
// one hierarchy; "" where it is not visible, with an error if it may not be read.
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

// lineage orders groups: the own one, then the others from the deepest to the root.
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
