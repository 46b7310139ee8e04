package source

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// containers are the control groups that are reported.
type containers struct {
	pod  *Pod
	errs []error // of the last scan

	own     container
	ownFile string // /proc/self/cgroup when own was made

	ownCgroup kernfile.File

	others map[string]*container // of the pod, by id
	list   []*group              // all that are reported, containers and then ancestors; nil when they changed

	ooms   ooms
	killed []*group // of containers that were gone at the last scan, by a kill for want of memory
}

// container is a container of the pod, or the own group outside a container.
type container struct {
	generation uint64 // of the own container: how often it changed
	id         string // "" if unknown
	membership cgroup.Membership
	inside     bool // a container, though its id may be unknown
	group      *group
	ancestors  []*cgroup.Group
	through    int   // pid by whose root directory the group is read; 0 when it is visible directly
	err        error // why there is no group, or not all of it
	seen       int   // incarnation of the group
}

// initialNamespace is what the kernel calls the cgroup namespace of the host (PROC_CGROUP_INIT_INO
// in linux/proc_ns.h).
const initialNamespace = "cgroup:[4026531835]"

// scanOwn finds the own group again if the process was moved.
func (c *containers) scanOwn() {
	c.ownCgroup.Path = c.pod.fs.Path(strconv.Itoa(c.pod.self), "cgroup")
	data, err := c.pod.fs.Cgroup(&c.ownCgroup, true)
	if err != nil || c.pod.tree == nil {
		c.own = container{err: err, generation: c.own.generation + 1}
		c.ownFile = ""
		return
	}
	if c.own.group != nil && string(data) == c.ownFile {
		return
	}
	c.ownFile = string(data)
	m, err := cgroup.ParseMembership(data)
	c.own = container{id: c.pod.tree.ContainerID(m), err: err, generation: c.own.generation + 1}
	_, c.own.membership = m.Container()
	namespace, errNS := os.Readlink(c.pod.fs.Path(strconv.Itoa(c.pod.self), "ns", "cgroup"))
	c.own.inside = c.own.id != "" || errNS == nil && namespace != initialNamespace
	groups, err := c.pod.tree.Lineage(c.own.membership)
	if len(groups) > 0 {
		c.own.group, c.own.ancestors = newGroup(groups[0], true, &collector.Birth{}, c.ownAttributes()...), groups[1:]
	}
	if err != nil {
		c.own.err = err
	}
	c.list = nil
}

// ownAttributes are those that the own container is known by, beside its path.
func (c *containers) ownAttributes() (known []attribute.KeyValue) {
	if c.own.id != "" {
		known = append(known, semconv.ContainerID(c.own.id))
	}
	if name := c.pod.config.Container; name != "" {
		known = append(known, semconv.K8SContainerName(name))
	}
	return known
}

// scan follows the containers that the processes of the pod are in.
func (c *containers) scan() {
	c.errs = c.errs[:0]
	c.errs = append(c.errs, c.pod.broken, c.own.err)
	inhabited := c.pod.processes.inhabited
	if len(inhabited[c.own.id]) > 0 {
		c.disown()
	}
	c.dismiss(inhabited)
	for id, inside := range inhabited {
		switch other := c.others[id]; {
		case other == nil:
			c.add(c.find(id, inside))
		case other.group.Incarnation() != other.seen: // the container was started again
			other.seen = other.group.Incarnation()
			other.group = newGroup(other.group.Group, true, c.born(inside), semconv.ContainerID(id))
			c.list = nil
		}
	}
	c.bear()
	for _, other := range c.others {
		c.errs = append(c.errs, other.err)
	}
	if c.list == nil {
		c.rebuild()
	}
}

// dismiss drops the containers that are gone, or that must be read through another process.
func (c *containers) dismiss(inhabited map[string][]*candidate) {
	c.killed = c.killed[:0]
	c.ooms.read(c.pod.fs, len(c.others) > 0)
	for id, other := range c.others {
		_, ok := inhabited[id]
		if ok && (other.through == 0 || c.pod.processes.containerOf(other.through) == id) {
			continue
		}
		if !ok && c.ooms.took(other.group) {
			c.killed = append(c.killed, other.group)
		}
		delete(c.others, id)
		c.list = nil
	}
}

// born returns the birth of a container by the first process in it. Where none tells, it is the
// boot: no group is older.
func (c *containers) born(inside []*candidate) *collector.Birth {
	first := int64(0)
	for _, one := range inside {
		if one.started > 0 && (first == 0 || one.started < first) {
			first = one.started
		}
	}
	stat := proc.Stat{StartTime: first}
	return collector.BornAt(stat.Started(c.pod.boot()))
}

// bear sets the birth of the own group, now that the processes in it are known. Outside a container
// it has no beginning that can be known.
func (c *containers) bear() {
	if c.own.group == nil || !c.own.group.birth.At.IsZero() {
		return
	}
	var inside []*candidate
	if c.own.inside {
		inside = c.pod.processes.own
	}
	c.own.group.birth.At = c.born(inside).At
}

// disown drops the own id, which turned out to be another container's: the id came from files that
// the two share.
func (c *containers) disown() {
	c.own.id = ""
	c.own.generation++
	if c.own.group != nil {
		c.own.group = newGroup(c.own.group.Group, true, c.own.group.birth, c.ownAttributes()...)
	}
	c.list = nil
}

func (c *containers) add(found *container) {
	if found.group == nil { // tried again at the next scan
		c.errs = append(c.errs, found.err)
		return
	}
	if c.others == nil {
		c.others = map[string]*container{}
	}
	c.others[found.id] = found
	c.ooms.watch(found.group)
	c.list = nil
}

// doors is through how many processes a container is tried. The first may be another user's where a
// later one is not.
const doors = 8

// find locates the groups of a container in the visible hierarchy or, where only its own mounts
// show them, through the root directory of a process in it. That needs the same user id, or
// privileges.
func (c *containers) find(id string, inside []*candidate) *container {
	found := &container{id: id}
	if c.pod.tree != nil {
		if groups, err := c.pod.tree.Lineage(inside[0].membership); len(groups) > 0 {
			found.group, found.ancestors, found.err = newGroup(
				groups[0],
				true,
				c.born(inside),
				semconv.ContainerID(id),
			), groups[1:], err
			return found
		}
	}
	for _, one := range inside[:min(doors, len(inside))] {
		group, err := c.enter(one)
		if group != nil {
			found.group, found.through, found.err = newGroup(
				group,
				true,
				c.born(inside),
				semconv.ContainerID(id),
			), one.pid, err
			return found
		}
		// The process may have gone meanwhile, and one that a runtime has just made is closed to
		// others until it runs the program. The pause container, which is another user's, has
		// nothing to tell.
		if found.err == nil && !kernfile.Absent(err) && one.looks > 2 && !onlyPause(inside) {
			found.err = fmt.Errorf("container %.12s: control groups not readable (the same user id may): %w", id, err)
		}
	}
	return found
}

// enter finds the group of a process in what the process itself has mounted.
func (c *containers) enter(of *candidate) (*cgroup.Group, error) {
	pid := strconv.Itoa(of.pid)
	tree, err := cgroup.Open(cgroup.Config{
		ProcRoot: c.pod.config.ProcRoot, Process: pid, Prefix: c.pod.fs.Path(pid, "root"),
	})
	if tree == nil {
		return nil, err
	}
	groups, err := tree.Lineage(of.membership)
	if len(groups) == 0 {
		return nil, err
	}
	return groups[0], err
}

// rebuild lists every group once: containers may share ancestors.
func (c *containers) rebuild() {
	c.list = []*group{}
	ancestors := map[string]*group{}
	for _, one := range c.all() {
		if one.group == nil {
			continue
		}
		c.list = append(c.list, one.group)
		one.group.above = nil
		for _, g := range one.ancestors {
			if ancestors[g.Path] == nil {
				ancestors[g.Path] = newGroup(g, false, collector.BornAt(c.pod.boot()))
			}
			one.group.above = append(one.group.above, ancestors[g.Path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(ancestors)) {
		c.list = append(c.list, ancestors[path])
	}
}

// all returns the own container and the others, by id.
func (c *containers) all() []*container {
	list := []*container{&c.own}
	for _, id := range slices.Sorted(maps.Keys(c.others)) {
		list = append(list, c.others[id])
	}
	return list
}
