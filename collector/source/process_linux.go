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
	seen uint64
}

// Collect implements [collector.Source].
func (p *processSource) Collect(_ context.Context, s *collector.Sample) {
	p.pod.scan(&p.seen)
	for _, err := range p.pod.processes.errs {
		s.Fail(err)
	}
	for _, name := range p.pod.processes.missing() {
		s.Note(
			"no process runs " + name + " so far: --process takes the name of an executable, or the first 15 bytes of it",
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

// ownSwitches asks the kernel for the context switches of the own process, which it adds up for
// itself alone: those of threads that are gone count too, and no file is read for it.
func ownSwitches() (voluntary, involuntary kernfile.Optional[int64]) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return voluntary, involuntary
	}
	return kernfile.Some(
			int64(used.Nvcsw),
		), kernfile.Some(
			int64(used.Nivcsw),
		) //nolint:unconvert // 32 bits on some architectures
}

// observe hands over what the scan read.
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

// processAttributes are the attribute sets of a process's points. What the kernel keeps by thread
// is added up since the process was first seen.
type processAttributes struct {
	base, user, system, minor, major *collector.Attributes
	seen, voluntary, involuntary     *collector.Attributes
}

func newProcessAttributes(born, switched *collector.Birth, pid int, name, containerID string) processAttributes {
	base := processIdentity(pid, name)
	if containerID != "" {
		base = append(base, semconv.ContainerID(containerID))
	}
	return processAttributes{
		base:        collector.With(born, base...),
		user:        with(born, base, semconv.CPUModeUser),
		system:      with(born, base, semconv.CPUModeSystem),
		minor:       with(born, base, semconv.SystemPagingFaultTypeMinor),
		major:       with(born, base, semconv.SystemPagingFaultTypeMajor),
		seen:        collector.With(&collector.Birth{}, base...),
		voluntary:   with(switched, base, semconv.ProcessContextSwitchTypeVoluntary),
		involuntary: with(switched, base, semconv.ProcessContextSwitchTypeInvoluntary),
	}
}
