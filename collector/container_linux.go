package collector

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// containerSource reports the control groups of the pod's containers, and of every visible ancestor.
type containerSource struct {
	pod    *Pod
	seen   uint64
	reader kernfile.Reader
}

// Collect implements [Source].
func (c *containerSource) Collect(_ context.Context, s *Sample) {
	c.pod.scan(&c.seen)
	for _, err := range c.pod.containers.errs {
		s.Fail(err)
	}
	for _, g := range c.pod.containers.list {
		c.cpu(s, g)
		c.memory(s, g)
	}
}

func (c *containerSource) cpu(s *Sample, g *group) {
	figures, a := g.CPU(&c.reader, s.Fail), &g.figures
	time := catalog.CgroupCPUTime
	if g.container {
		time = catalog.ContainerCPUTime
	}
	seconds(s, time, figures.User, a.user)
	seconds(s, time, figures.System, a.system)
	if limit, ok := figures.Limit.Get(); ok {
		s.Float(catalog.CgroupCPULimit, limit, a.base)
	}
	number(s, catalog.CgroupCPUPeriods, figures.Periods, a.base)
	number(s, catalog.CgroupCPUThrottledPeriods, figures.ThrottledPeriods, a.base)
	seconds(s, catalog.CgroupCPUThrottledTime, figures.ThrottledTime, a.base)
}

func (c *containerSource) memory(s *Sample, g *group) {
	figures, a := g.Memory(&c.reader, s.Fail), &g.figures
	if g.container {
		containerMemory(s, figures, a)
	} else {
		number(s, catalog.CgroupMemoryUsage, figures.Usage, a.base)
		number(s, catalog.CgroupMemoryWorkingSet, figures.WorkingSet, a.base)
	}
	number(s, catalog.CgroupMemoryLimit, figures.Limit, a.base)
	e := figures.Events
	for i, count := range [...]kernfile.Optional[int64]{e.Low, e.High, e.Max, e.OOM, e.OOMKill, e.OOMGroupKill} {
		number(s, catalog.CgroupMemoryEvents, count, a.events[i])
	}
}

func containerMemory(s *Sample, figures cgroup.Memory, a *containerAttributes) {
	number(s, catalog.ContainerMemoryUsage, figures.Usage, a.base)
	number(s, catalog.ContainerMemoryWorkingSet, figures.WorkingSet, a.base)
	number(s, catalog.ContainerMemoryRSS, figures.RSS, a.base)
	if figures.Limit.Defined && figures.WorkingSet.Defined {
		s.Int(catalog.ContainerMemoryAvailable, max(0, figures.Limit.Value-figures.WorkingSet.Value), a.base)
	}
	number(s, catalog.ContainerPagingFaults, figures.MajorFaults, a.major)
	if figures.Faults.Defined && figures.MajorFaults.Defined {
		s.Int(catalog.ContainerPagingFaults, max(0, figures.Faults.Value-figures.MajorFaults.Value), a.minor)
	}
}

// containerAttributes are the attribute sets of a group's points.
type containerAttributes struct {
	base, user, system, minor, major Attributes
	events                           [6]Attributes
}

var memoryEvents = [6]string{"low", "high", "max", "oom", "oom_kill", "oom_group_kill"}

// groupAttributes are those of every point of a group.
func groupAttributes(path, containerID string) []attribute.KeyValue {
	base := []attribute.KeyValue{catalog.CgroupPathKey.String(path)}
	if containerID != "" {
		base = append(base, semconv.ContainerID(containerID))
	}
	return base
}

func newContainerAttributes(base []attribute.KeyValue) containerAttributes {
	a := containerAttributes{
		base:   With(base...),
		user:   with(base, semconv.CPUModeUser),
		system: with(base, semconv.CPUModeSystem),
		minor:  with(base, semconv.SystemPagingFaultTypeMinor),
		major:  with(base, semconv.SystemPagingFaultTypeMajor),
	}
	for i, event := range memoryEvents {
		a.events[i] = with(base, catalog.CgroupEventKey.String(event))
	}
	return a
}

// seconds and number observe a value if it is defined.

func seconds(s *Sample, m *catalog.Metric, v kernfile.Optional[time.Duration], a Attributes) {
	if v.Defined {
		s.Float(m, v.Value.Seconds(), a)
	}
}

func number(s *Sample, m *catalog.Metric, v kernfile.Optional[int64], a Attributes) {
	if v.Defined {
		s.Int(m, v.Value, a)
	}
}
