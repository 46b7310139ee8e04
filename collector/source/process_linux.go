package source

import (
	"context"
	"syscall"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// processSource reports the processes of the pod.
type processSource struct {
	pod  *Pod
	seen uint64 // see Pod.scan
}

// Collect implements [collector.Source].
func (p *processSource) Collect(_ context.Context, s *collector.Sample) {
	p.pod.scan(&p.seen)
	for _, err := range p.pod.processes.errs {
		s.Fail(err)
	}
	for _, name := range p.pod.processes.missing() {
		s.Note(
			"no process is named " + name + "; --process takes the name of an executable, or its first 15 bytes",
		)
	}
	for _, one := range p.pod.processes.selected {
		one.observe(s)
		totals, err := one.threads.Read(p.pod.fs, one.pid)
		s.Fail(err)
		seconds(s, catalog.ProcessRunQueueTime, totals.RunDelay, one.attributes.seen)
		if one.threads.RunDelayOnly {
			totals.Voluntary, totals.Involuntary = ownSwitches()
		}
		number(s, catalog.ProcessContextSwitches, totals.Voluntary, one.attributes.voluntary)
		number(s, catalog.ProcessContextSwitches, totals.Involuntary, one.attributes.involuntary)
	}
}

// ownSwitches returns the context switches of the calling process, including threads that have
// exited.
func ownSwitches() (voluntary, involuntary kernfile.Optional[int64]) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return voluntary, involuntary
	}
	// On some platforms these fields are 32-bit.
	voluntary = kernfile.Some(int64(used.Nvcsw))    //nolint:unconvert // see above
	involuntary = kernfile.Some(int64(used.Nivcsw)) //nolint:unconvert // see above
	return voluntary, involuntary
}

// observe adds points for the values that the scan read.
func (p *process) observe(s *collector.Sample) {
	a := &p.attributes
	s.Float(catalog.ProcessCPUTime, p.stat.User.Seconds(), a.user)
	s.Float(catalog.ProcessCPUTime, p.stat.System.Seconds(), a.system)
	s.Int(catalog.ProcessMemoryUsage, p.stat.Resident, a.base)
	s.Int(catalog.ProcessMemoryVirtual, p.stat.Virtual, a.base)
	s.Int(catalog.ProcessThreadCount, p.stat.Threads, a.base)
	s.Int(catalog.ProcessPagingFaults, p.stat.MinorFaults, a.minor)
	s.Int(catalog.ProcessPagingFaults, p.stat.MajorFaults, a.major)
}

// processAttributes holds the attribute sets of a process's points. Counters that the kernel keeps
// only per thread start when the process is first seen.
type processAttributes struct {
	base, user, system, minor, major *collector.Attributes
	seen, voluntary, involuntary     *collector.Attributes
}

func newProcessAttributes(born, switched *collector.StartTime, pid int, name, containerID string) processAttributes {
	base := processIdentity(pid, name)
	if containerID != "" {
		base = append(base, semconv.ContainerID(containerID))
	}
	return processAttributes{
		base:        collector.NewAttributes(born, base...),
		user:        attributes(born, base, semconv.CPUModeUser),
		system:      attributes(born, base, semconv.CPUModeSystem),
		minor:       attributes(born, base, semconv.SystemPagingFaultTypeMinor),
		major:       attributes(born, base, semconv.SystemPagingFaultTypeMajor),
		seen:        collector.NewAttributes(&collector.StartTime{}, base...),
		voluntary:   attributes(switched, base, semconv.ProcessContextSwitchTypeVoluntary),
		involuntary: attributes(switched, base, semconv.ProcessContextSwitchTypeInvoluntary),
	}
}
