package source

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// containerSource reports the cgroups of the pod's containers, and the visible ancestors of these
// cgroups.
type containerSource struct {
	pod    *Pod
	seen   uint64 // see Pod.scan
	reader kernfile.Reader
	disks  disks
	io     []cgroup.DiskIO
}

// Collect implements [collector.Source].
func (c *containerSource) Collect(_ context.Context, s *collector.Sample) {
	c.pod.scan(&c.seen)
	for _, err := range c.pod.containers.errs {
		s.Fail(err)
	}
	for _, g := range c.pod.containers.killed {
		observeMemoryEvents(s, g)
	}
	// All cgroups are read before any is reported: the memory available to a container also depends
	// on the ancestors of its cgroup.
	for _, g := range c.pod.containers.list {
		g.memory = g.Memory(&c.reader, s.Fail)
	}
	for _, g := range c.pod.containers.list {
		c.cpu(s, g)
		c.memory(s, g)
		c.processesAndIO(s, g)
	}
}

func (c *containerSource) cpu(s *collector.Sample, g *group) {
	usage, a := g.CPU(&c.reader, s.Fail), &g.attributes
	timeMetric := catalog.CgroupCPUTime
	if g.container {
		timeMetric = catalog.ContainerCPUTime
	}
	seconds(s, timeMetric, usage.User, a.user)
	seconds(s, timeMetric, usage.System, a.system)
	if limit, ok := usage.Limit.Get(); ok {
		s.Float(catalog.CgroupCPULimit, limit, a.base)
	}
	number(s, catalog.CgroupCPUPeriods, usage.Periods, a.base)
	number(s, catalog.CgroupCPUThrottledPeriods, usage.ThrottledPeriods, a.base)
	seconds(s, catalog.CgroupCPUThrottledTime, usage.ThrottledTime, a.base)
}

func (c *containerSource) memory(s *collector.Sample, g *group) {
	m, a := &g.memory, &g.attributes
	if g.container {
		containerMemory(s, g)
	} else {
		number(s, catalog.CgroupMemoryUsage, m.Usage, a.base)
		number(s, catalog.CgroupMemoryWorkingSet, m.WorkingSet, a.base)
	}
	number(s, catalog.CgroupMemoryLimit, m.Limit, a.base)
	number(s, catalog.CgroupMemorySwap, m.Swap, a.base)
	observeMemoryEvents(s, g)
}

// processesAndIO reports a cgroup's number of processes and, if the cgroup is that of a container,
// its disk reads and writes.
func (c *containerSource) processesAndIO(s *collector.Sample, g *group) {
	processes := g.Processes(&c.reader, s.Fail)
	number(s, catalog.CgroupProcessCount, processes.Count, g.attributes.base)
	number(s, catalog.CgroupProcessLimit, processes.Limit, g.attributes.base)
	if !g.container {
		return
	}
	c.io = g.IO(&c.reader, c.io[:0], s.Fail)
	for _, one := range c.io {
		a := g.disk(one.Device, &c.disks)
		s.Int(catalog.ContainerDiskIO, one.Read, a.read)
		s.Int(catalog.ContainerDiskIO, one.Write, a.write)
	}
}

func observeMemoryEvents(s *collector.Sample, g *group) {
	e := &g.memory.Events
	for i, count := range [...]kernfile.Optional[int64]{e.Low, e.High, e.Max, e.OOM, e.OOMKill, e.OOMGroupKill} {
		number(s, catalog.CgroupMemoryEvents, count, g.attributes.events[i])
	}
}

func containerMemory(s *collector.Sample, g *group) {
	m, a := &g.memory, &g.attributes
	number(s, catalog.ContainerMemoryUsage, m.Usage, a.base)
	number(s, catalog.ContainerMemoryWorkingSet, m.WorkingSet, a.base)
	number(s, catalog.ContainerMemoryRSS, m.RSS, a.base)
	number(s, catalog.ContainerMemoryAvailable, g.available(), a.base)
	number(s, catalog.ContainerPagingFaults, m.MajorFaults, a.major)
	if m.Faults.Defined && m.MajorFaults.Defined {
		s.Int(catalog.ContainerPagingFaults, max(0, m.Faults.Value-m.MajorFaults.Value), a.minor)
	}
}

// containerAttributes holds the attribute sets of a cgroup's points.
type containerAttributes struct {
	base, user, system, minor, major *collector.Attributes
	events                           [6]*collector.Attributes
}

var memoryEvents = [6]string{"low", "high", "max", "oom", "oom_kill", "oom_group_kill"}

func newContainerAttributes(start *collector.StartTime, base []attribute.KeyValue) containerAttributes {
	a := containerAttributes{
		base:   collector.NewAttributes(start, base...),
		user:   attributes(start, base, semconv.CPUModeUser),
		system: attributes(start, base, semconv.CPUModeSystem),
		minor:  attributes(start, base, semconv.SystemPagingFaultTypeMinor),
		major:  attributes(start, base, semconv.SystemPagingFaultTypeMajor),
	}
	for i, event := range memoryEvents {
		a.events[i] = attributes(start, base, catalog.CgroupEventKey.String(event))
	}
	return a
}

// seconds and number add a point of m with the value v, if v is defined.

func seconds(s *collector.Sample, m *catalog.Metric, v kernfile.Optional[time.Duration], a *collector.Attributes) {
	if v.Defined {
		s.Float(m, v.Value.Seconds(), a)
	}
}

func number(s *collector.Sample, m *catalog.Metric, v kernfile.Optional[int64], a *collector.Attributes) {
	if v.Defined {
		s.Int(m, v.Value, a)
	}
}
