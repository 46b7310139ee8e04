package collector

import (
	"context"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// processSource reports the processes of the pod.
type processSource struct {
	pod  *Pod
	seen uint64
}

// Collect implements [Source].
func (p *processSource) Collect(_ context.Context, s *Sample) {
	p.pod.scan(&p.seen)
	for _, err := range p.pod.processes.errs {
		s.Fail(err)
	}
	for _, one := range p.pod.processes.selected {
		one.observe(s)
		totals, err := one.threads.Read(p.pod.fs, one.pid)
		s.Fail(err)
		seconds(s, catalog.ProcessRunQueueTime, totals.RunDelay, one.attributes.base)
		number(s, catalog.ProcessContextSwitches, totals.Voluntary, one.attributes.voluntary)
		number(s, catalog.ProcessContextSwitches, totals.Involuntary, one.attributes.involuntary)
	}
}

// observe hands over what the scan read.
func (p *process) observe(s *Sample) {
	a := &p.attributes
	s.Float(catalog.ProcessCPUTime, p.stat.User.Seconds(), a.user)
	s.Float(catalog.ProcessCPUTime, p.stat.System.Seconds(), a.system)
	s.Int(catalog.ProcessMemoryUsage, p.stat.Resident, a.base)
	s.Int(catalog.ProcessMemoryVirtual, p.stat.Virtual, a.base)
	s.Int(catalog.ProcessThreadCount, p.stat.Threads, a.base)
	s.Int(catalog.ProcessPagingFaults, p.stat.MinorFaults, a.minor)
	s.Int(catalog.ProcessPagingFaults, p.stat.MajorFaults, a.major)
}

// processAttributes are the attribute sets of a process's points.
type processAttributes struct {
	base, user, system, voluntary, involuntary, minor, major Attributes
}

func newProcessAttributes(pid int, name, containerID string) processAttributes {
	base := processIdentity(pid, name)
	if containerID != "" {
		base = append(base, semconv.ContainerID(containerID))
	}
	return processAttributes{
		base:        With(base...),
		user:        with(base, semconv.CPUModeUser),
		system:      with(base, semconv.CPUModeSystem),
		voluntary:   with(base, semconv.ProcessContextSwitchTypeVoluntary),
		involuntary: with(base, semconv.ProcessContextSwitchTypeInvoluntary),
		minor:       with(base, semconv.SystemPagingFaultTypeMinor),
		major:       with(base, semconv.SystemPagingFaultTypeMajor),
	}
}
