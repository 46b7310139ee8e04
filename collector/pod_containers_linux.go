package collector

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// containers are the control groups that are reported.
type containers struct {
	pod  *Pod
	errs []error // of the last scan

	own     container
	ownFile string // /proc/self/cgroup when own was made

	others map[string]*container // of the pod, by id
	list   []*group              // all that are reported, containers and then ancestors; nil when they changed
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
}

// group is a control group and the attributes of its points.
type group struct {
	*cgroup.Group
	container bool
	figures   containerAttributes
	pressure  pressureAttributes
}

func newGroup(g *cgroup.Group, containerID string, isContainer bool) *group {
	base := groupAttributes(g.Path, containerID)
	return &group{
		Group: g, container: isContainer, figures: newContainerAttributes(base), pressure: newPressureAttributes(base),
	}
}

// initialNamespace is what the kernel calls the cgroup namespace of the host (PROC_CGROUP_INIT_INO in linux/proc_ns.h).
const initialNamespace = "cgroup:[4026531835]"

// scanOwn finds the own group again if the process was moved.
func (c *containers) scanOwn() {
	data, err := c.pod.fs.Cgroup(c.pod.self)
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
		c.own.group, c.own.ancestors = newGroup(groups[0], c.own.id, true), groups[1:]
	}
	if err != nil {
		c.own.err = err
	}
	c.list = nil
}

// scan follows the containers that the processes of the pod are in.
func (c *containers) scan() {
	c.errs = c.errs[:0]
	c.errs = append(c.errs, c.pod.broken, c.own.err)
	inhabited := c.pod.processes.inhabited
	if len(inhabited[c.own.id]) > 0 {
		c.disown()
	}
	for id, other := range c.others {
		if _, ok := inhabited[id]; !ok || other.through != 0 && c.pod.processes.containerOf(other.through) != id {
			delete(c.others, id)
			c.list = nil
		}
	}
	for id, inside := range inhabited {
		if c.others[id] == nil {
			c.add(c.find(id, inside))
		}
	}
	for _, other := range c.others {
		c.errs = append(c.errs, other.err)
	}
	if c.list == nil {
		c.rebuild()
	}
}

// disown drops the own id, which turned out to be another container's: the id came from files that the two share.
func (c *containers) disown() {
	c.own.id = ""
	c.own.generation++
	if c.own.group != nil {
		c.own.group = newGroup(c.own.group.Group, "", true)
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
	c.list = nil
}

// doors is through how many processes a container is tried. The first may be another user's where a later one is not.
const doors = 8

// find locates the groups of a container in the visible hierarchy or, where only its own mounts show them, through the root
// directory of a process in it. That needs the same user id, or privileges.
func (c *containers) find(id string, inside []*candidate) *container {
	found := &container{id: id}
	if c.pod.tree != nil {
		if groups, err := c.pod.tree.Lineage(inside[0].membership); len(groups) > 0 {
			found.group, found.ancestors, found.err = newGroup(groups[0], id, true), groups[1:], err
			return found
		}
	}
	for _, one := range inside[:min(doors, len(inside))] {
		group, err := c.enter(one)
		if group != nil {
			found.group, found.through, found.err = newGroup(group, id, true), one.pid, err
			return found
		}
		if found.err == nil && !kernfile.Absent(err) { // the process may have gone meanwhile
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
	ancestors := map[string]*cgroup.Group{}
	for _, one := range c.all() {
		if one.group != nil {
			c.list = append(c.list, one.group)
		}
		for _, g := range one.ancestors {
			ancestors[g.Path] = g
		}
	}
	for _, path := range slices.Sorted(maps.Keys(ancestors)) {
		c.list = append(c.list, newGroup(ancestors[path], "", false))
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
