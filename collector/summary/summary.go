// Package summary shows on a terminal what the sidecar sees: a few lines a collection, made from the same points that would be
// exported. A figure that is absent is left out; one that needs two collections is missing from the first.
package summary

import (
	"fmt"
	"io"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Summary writes one block of lines a collection, from a goroutine of its own: a terminal that does not read holds nothing up, and
// misses blocks.
type Summary struct {
	out    io.Writer
	next   chan *metricdata.ResourceMetrics
	ended  chan struct{}
	view   view
	probes map[string]string // what each probe showed last, since most run less often than this is written
}

// Start returns a Summary that writes to out.
func Start(out io.Writer) *Summary {
	s := &Summary{
		out: out, next: make(chan *metricdata.ResourceMetrics, 1), ended: make(chan struct{}), probes: map[string]string{},
	}
	go func() {
		defer close(s.ended)
		for rm := range s.next {
			_, _ = io.WriteString(s.out, s.block(rm)) // a terminal that is gone is no reason to stop
		}
	}()
	return s
}

// Show writes the summary of a collection with cumulative sums, unless the one before has not been read yet. It is a sink of the
// sampler.
func (s *Summary) Show(rm *metricdata.ResourceMetrics) {
	select {
	case s.next <- rm:
	default:
	}
}

// Close waits until all is written, but only a moment if nobody reads. Call it once, after the last Show.
func (s *Summary) Close() {
	close(s.next)
	select {
	case <-s.ended:
	case <-time.After(100 * time.Millisecond):
	}
}

// block returns the lines of a collection.
func (s *Summary) block(rm *metricdata.ResourceMetrics) string {
	s.view.advance(rm)
	var b strings.Builder
	stamp := newest(s.view.now).Format(time.TimeOnly)
	for _, line := range s.lines() {
		fmt.Fprintf(&b, "%8s  %-10s  %s\n", stamp, line.label, strings.Join(line.figures, "   "))
		stamp = ""
	}
	b.WriteByte('\n')
	return b.String()
}

// line is a line of the summary: what it is about, and its figures.
type line struct {
	label   string
	figures []string
}

func (l *line) add(ok bool, format string, args ...any) {
	if ok {
		l.figures = append(l.figures, fmt.Sprintf(format, args...))
	}
}

func (s *Summary) lines() []line {
	lines := []line{s.host(), s.pressure()}
	lines = append(lines, s.groups()...)
	lines = append(lines, s.cpuProbe())
	lines = append(lines, s.targetProbes()...)
	lines = append(lines, s.relay())
	var filled []line
	for _, l := range lines {
		if len(l.figures) > 0 {
			filled = append(filled, l)
		}
	}
	return filled
}

func (s *Summary) host() line {
	l := line{label: "host"}
	v := &s.view
	cpus, _ := v.value(catalog.SystemCPULogicalCount)
	all, ok := v.rate(catalog.SystemCPUTime)
	share := func(mode attribute.KeyValue) (float64, bool) {
		rate, known := v.rate(catalog.SystemCPUTime, mode)
		return rate / all, known && all > 0
	}
	idle, _ := share(semconv.CPUModeIdle)
	wait, waits := share(semconv.CPUModeIOWait)
	steal, steals := share(semconv.CPUModeSteal)
	l.add(ok && all > 0 && cpus > 0, "cpu %s of %.0f", percent(1-idle-wait), cpus)
	l.add(waits, "iowait %s", percent(wait))
	l.add(steals, "steal %s", percent(steal))
	load, ok := v.value(catalog.SystemLoad1)
	l.add(ok, "load %.2f", load)
	limit, ok := v.value(catalog.SystemMemoryLimit)
	used, known := v.value(catalog.SystemMemoryUsage, semconv.SystemMemoryStateUsed)
	l.add(ok && known, "memory %s of %s", size(used), size(limit))
	swap, ok := v.value(catalog.SystemPagingUsage, semconv.SystemPagingStateUsed)
	l.add(ok && swap > 0, "swap %s", size(swap))
	return l
}

func (s *Summary) pressure() line {
	l := line{label: "pressure"}
	for _, resource := range []string{"cpu", "memory", "io"} {
		stalled, ok := s.view.rate(
			catalog.PressureStallTime,
			catalog.PressureScopeKey.String("host"), catalog.PressureKindKey.String("some"), catalog.PressureResourceKey.String(resource),
		)
		l.add(ok, "%s %s", resource, percent(min(stalled, 1))) // the two clocks differ by a little
	}
	return l
}

// groups has a line for each container, and one for the own control group outside a container.
func (s *Summary) groups() []line {
	var lines []line
	s.view.each(catalog.ContainerCPUTime, catalog.CgroupPathKey, func(path attribute.KeyValue) {
		l := line{label: "cgroup", figures: []string{path.Value.AsString()}}
		s.view.each(catalog.ContainerCPUTime, semconv.ContainerIDKey, func(id attribute.KeyValue) {
			if _, ok := s.view.value(catalog.ContainerCPUTime, path, id); ok {
				l = line{label: "container", figures: []string{id.Value.AsString()[:min(12, len(id.Value.AsString()))]}}
			}
		})
		s.group(&l, path)
		lines = append(lines, l)
	})
	return lines
}

func (s *Summary) group(l *line, path attribute.KeyValue) {
	v := &s.view
	used, ok := v.rate(catalog.ContainerCPUTime, path)
	quota, limited := v.value(catalog.CgroupCPULimit, path)
	l.add(ok && limited, "cpu %.2f of %.2f", used, quota)
	l.add(ok && !limited, "cpu %.2f", used)
	periods, ok := v.rate(catalog.CgroupCPUPeriods, path)
	throttled, _ := v.rate(catalog.CgroupCPUThrottledPeriods, path)
	l.add(ok && periods > 0, "throttled %s", percent(throttled/periods))
	memory, ok := v.value(catalog.ContainerMemoryWorkingSet, path)
	limit, limited := v.value(catalog.CgroupMemoryLimit, path)
	l.add(ok && limited, "memory %s of %s", size(memory), size(limit))
	l.add(ok && !limited, "memory %s", size(memory))
	kills, ok := v.value(catalog.CgroupMemoryEvents, path, catalog.CgroupEventKey.String("oom_kill"))
	l.add(ok && kills > 0, "OOM kills %.0f", kills)
}

func (s *Summary) cpuProbe() line {
	l := line{label: "probe cpu"}
	v := &s.view
	stretch, ok := v.mean(catalog.ProbeCPUStretch)
	s.keep(&l, "stretch", ok, "stretch %.2f", stretch)
	delay, ok := v.mean(catalog.ProbeCPURunDelay)
	s.keep(&l, "delay", ok, "run delay %s", duration(delay))
	got, ok := v.value(catalog.ProbeParallelism)
	wanted, _ := v.value(catalog.ProbeParallelismRequested)
	l.add(ok, "CPUs at once %.2f of %.0f", got, wanted)
	return l
}

// targetProbes has a line for each target of the disk and network probes.
func (s *Summary) targetProbes() []line {
	var lines []line
	for _, probe := range []string{"disk", "tcp", "dns", "http", "grpc"} {
		name := catalog.ProbeNameKey.String(probe)
		s.view.each(catalog.ProbeRuns, catalog.ProbeTargetKey, func(target attribute.KeyValue) {
			if _, ok := s.view.value(catalog.ProbeRuns, name, target); !ok {
				return
			}
			l := line{label: "probe " + probe, figures: []string{target.Value.AsString()}}
			s.targetProbe(&l, probe+target.Value.AsString(), name, target)
			lines = append(lines, l)
		})
		s.view.each(catalog.ProbeSkipped, catalog.ProbeTargetKey, func(target attribute.KeyValue) {
			_, skips := s.view.value(catalog.ProbeSkipped, name, target)
			if _, runs := s.view.value(catalog.ProbeRuns, name, target); skips && !runs {
				lines = append(lines, line{label: "probe " + probe, figures: []string{target.Value.AsString(), "no run has ended"}})
			}
		})
	}
	return lines
}

// targetProbe adds what the last runs of a probe took, or failed with.
func (s *Summary) targetProbe(l *line, key string, name, target attribute.KeyValue) {
	if failure := s.failures(name, target); failure != "" {
		s.probes[key] = failure
		for _, phase := range catalog.ProbePhases {
			delete(s.probes, key+phase) // of a run that is no longer the last
		}
	} else if s.view.grew(catalog.ProbeRuns, name, target) {
		delete(s.probes, key)
	}
	failed := s.probes[key] != "" // and no run has ended since
	l.add(failed, "%s", s.probes[key])
	for _, phase := range catalog.ProbePhases {
		mean, ok := s.view.mean(catalog.ProbeDuration, name, target, catalog.ProbePhaseKey.String(phase))
		s.keep(l, key+phase, ok && !failed, "%s %s", phase, duration(mean))
	}
}

// failures returns what runs of a probe failed with since the last collection, "" if none did.
func (s *Summary) failures(name, target attribute.KeyValue) string {
	var kinds []string
	s.view.each(catalog.ProbeRuns, semconv.ErrorTypeKey, func(kind attribute.KeyValue) {
		if s.view.grew(catalog.ProbeRuns, name, target, kind) {
			kinds = append(kinds, "failed: "+kind.Value.AsString())
		}
	})
	return strings.Join(kinds, "   ")
}

// keep adds the figure, or the one that it showed last if there is none.
func (s *Summary) keep(l *line, key string, ok bool, format string, args ...any) {
	if ok {
		s.probes[key] = fmt.Sprintf(format, args...)
	}
	l.add(s.probes[key] != "", "%s", s.probes[key])
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

func size(bytes float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if bytes < 1024 {
			return fmt.Sprintf("%.1f %s", bytes, unit)
		}
		bytes /= 1024
	}
	return fmt.Sprintf("%.1f GiB", bytes)
}

func duration(seconds float64) string {
	if seconds < 0.001 {
		return fmt.Sprintf("%.0f µs", seconds*1e6)
	}
	return fmt.Sprintf("%.1f ms", seconds*1e3)
}
