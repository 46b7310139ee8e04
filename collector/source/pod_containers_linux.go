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

// containers finds and holds the cgroups that are reported.
type containers struct {
	pod  *Pod
	errs []error // from the last scan

	own     container
	ownFile string // contents of /proc/self/cgroup when own was created

	ownCgroup kernfile.File

	others map[string]*container // the other containers of the pod, by id
	list   []*group              // all reported cgroups: containers, then ancestors; nil if the list must be rebuilt

	ooms   ooms
	killed []*group // cgroups of the containers that the last scan found to be OOM-killed
}

// container is a container of the pod. If the sidecar runs outside a container, its own cgroup
// counts as one.
type container struct {
	generation  uint64 // number of times that the sidecar's container has changed
	id          string // "" if unknown
	membership  cgroup.Membership
	isContainer bool // this is a container, although its id may be unknown
	group       *group
	ancestors   []*cgroup.Group
	viaPID      int   // process through whose root directory the cgroup is read; 0 if the cgroup is visible directly
	err         error // why the cgroup is missing or incomplete
	seen        int   // the cgroup's Incarnation at the last scan
}

// initialNamespace is the kernel's name for the cgroup namespace of the host (PROC_CGROUP_INIT_INO
// in linux/proc_ns.h).
const initialNamespace = "cgroup:[4026531835]"

// scanOwn finds the sidecar's cgroup, and finds it again if the process has been moved to another
// cgroup.
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
	c.own.isContainer = c.own.id != "" || errNS == nil && namespace != initialNamespace
	groups, err := c.pod.tree.Lineage(c.own.membership)
	if len(groups) > 0 {
		c.own.group, c.own.ancestors = newGroup(
			groups[0],
			true,
			&collector.StartTime{},
			c.ownAttributes()...), groups[1:]
	}
	if err != nil {
		c.own.err = err
	}
	c.list = nil
}

// ownAttributes returns the known attributes of the sidecar's container, except its path.
func (c *containers) ownAttributes() (known []attribute.KeyValue) {
	if c.own.id != "" {
		known = append(known, semconv.ContainerID(c.own.id))
	}
	if name := c.pod.config.Container; name != "" {
		known = append(known, semconv.K8SContainerName(name))
	}
	return known
}

// scan updates the pod's other containers from the processes found in them.
func (c *containers) scan() {
	c.errs = c.errs[:0]
	c.errs = append(c.errs, c.pod.treeErr, c.own.err)
	byContainer := c.pod.processes.byContainer
	if len(byContainer[c.own.id]) > 0 {
		c.clearID()
	}
	c.removeGone(byContainer)
	for id, candidates := range byContainer {
		switch other := c.others[id]; {
		case other == nil:
			c.add(c.find(id, candidates))
		case other.group.Incarnation() != other.seen: // the container was restarted
			other.seen = other.group.Incarnation()
			other.group = newGroup(other.group.Group, true, c.startOf(candidates), semconv.ContainerID(id))
			c.list = nil
		}
	}
	c.setOwnStart()
	for _, other := range c.others {
		c.errs = append(c.errs, other.err)
	}
	if c.list == nil {
		c.rebuild()
	}
}

// removeGone removes containers that no longer exist, and containers that must be found again
// through another process.
func (c *containers) removeGone(byContainer map[string][]*candidate) {
	c.killed = c.killed[:0]
	c.ooms.read(c.pod.fs, len(c.others) > 0)
	for id, other := range c.others {
		_, ok := byContainer[id]
		if ok && (other.viaPID == 0 || c.pod.processes.containerOf(other.viaPID) == id) {
			continue
		}
		if !ok && c.ooms.wasKilled(other.group) {
			c.killed = append(c.killed, other.group)
		}
		delete(c.others, id)
		c.list = nil
	}
}

// startOf returns the start time of the container that contains the given processes: the start time
// of the first process, or the boot time if no process's start time is known.
func (c *containers) startOf(candidates []*candidate) *collector.StartTime {
	first := int64(0)
	for _, process := range candidates {
		if process.started > 0 && (first == 0 || process.started < first) {
			first = process.started
		}
	}
	stat := proc.Stat{StartTime: first}
	return collector.StartedAt(stat.Started(c.pod.boot()))
}

// setOwnStart sets the start time of the sidecar's cgroup once its processes are known. Outside a
// container, the start time is the boot time.
func (c *containers) setOwnStart() {
	if c.own.group == nil || !c.own.group.start.At.IsZero() {
		return
	}
	var candidates []*candidate
	if c.own.isContainer {
		candidates = c.pod.processes.own
	}
	c.own.group.start.At = c.startOf(candidates).At
}

// clearID clears the sidecar's container id, which turned out to be another container's: it was
// found in files that the two containers share.
func (c *containers) clearID() {
	c.own.id = ""
	c.own.generation++
	if c.own.group != nil {
		c.own.group = newGroup(c.own.group.Group, true, c.own.group.start, c.ownAttributes()...)
	}
	c.list = nil
}

func (c *containers) add(found *container) {
	if found.group == nil { // the next scan tries again
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

// maxPIDsTried is how many of a container's processes are tried, at most, to access the container's
// files. If the first process is not accessible because it belongs to another user, a later one may
// be.
const maxPIDsTried = 8

// find looks up the cgroups of the container with the given id in the visible hierarchy. If only
// the container's own mounts show these cgroups, find reads them through the root directory of one
// of the candidates, which requires the same user id or privileges. If it finds no cgroup, the
// group of the result is nil.
func (c *containers) find(id string, candidates []*candidate) *container {
	found := &container{id: id}
	if c.pod.tree != nil {
		if groups, err := c.pod.tree.Lineage(candidates[0].membership); len(groups) > 0 {
			found.group, found.ancestors, found.err = newGroup(
				groups[0],
				true,
				c.startOf(candidates),
				semconv.ContainerID(id),
			), groups[1:], err
			return found
		}
	}
	for _, one := range candidates[:min(maxPIDsTried, len(candidates))] {
		group, err := c.findVia(one)
		if group != nil {
			found.group, found.viaPID, found.err = newGroup(
				group,
				true,
				c.startOf(candidates),
				semconv.ContainerID(id),
			), one.pid, err
			return found
		}
		// The process may have exited. A process that the container runtime has just created is not
		// accessible until it calls exec. The pause container runs as another user and can be
		// ignored.
		if found.err == nil && !kernfile.Absent(err) && one.inspections > 2 && !onlyPause(candidates) {
			found.err = fmt.Errorf(
				"container %.12s: cgroups are not readable; run the sidecar with the container's user id: %w",
				id,
				err,
			)
		}
	}
	return found
}

// findVia looks up the cgroup of a process through that process's own mounts.
func (c *containers) findVia(via *candidate) (*cgroup.Group, error) {
	pid := strconv.Itoa(via.pid)
	tree, err := cgroup.Open(cgroup.Config{
		ProcRoot: c.pod.config.ProcRoot, Process: pid, Prefix: c.pod.fs.Path(pid, "root"),
	})
	if tree == nil {
		return nil, err
	}
	groups, err := tree.Lineage(via.membership)
	if len(groups) == 0 {
		return nil, err
	}
	return groups[0], err
}

// rebuild sets c.list to all cgroups. Each cgroup is listed once, although containers may share
// ancestors.
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
				ancestors[g.Path] = newGroup(g, false, collector.StartedAt(c.pod.boot()))
			}
			one.group.above = append(one.group.above, ancestors[g.Path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(ancestors)) {
		c.list = append(c.list, ancestors[path])
	}
}

// all returns the sidecar's container followed by the other containers, sorted by id.
func (c *containers) all() []*container {
	list := []*container{&c.own}
	for _, id := range slices.Sorted(maps.Keys(c.others)) {
		list = append(list, c.others[id])
	}
	return list
}
