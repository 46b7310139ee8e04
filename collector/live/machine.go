package live

import (
	"maps"
	"math"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// machine computes the machine's part of the picture from collections of the sidecar's own metrics.
// Values that need two collections are absent after the first one.
type machine struct {
	view   view
	app    string                 // ID of the app's container; "" if unknown
	probes map[string]*probeState // by name and target
	shown  Picture                // only Host, Containers and Probes
	judge  diagnose.HostJudge
}

func newMachine() machine { return machine{probes: map[string]*probeState{}} }

// advance records the collection rm. app is the ID of the app's container, or "" if unknown.
func (m *machine) advance(rm *metricdata.ResourceMetrics, app string) {
	m.app = app
	m.view.advance(rm)
	m.shown = Picture{Host: m.hostValues(), Containers: m.containers(), Probes: m.probeResults()}
	if at := m.view.now.at(); at.Sub(m.judge.Seen()) >= window {
		m.judge.See(m.figures(at))
	}
}

// picture adds the machine's values to p. Values that only the picture needs are computed here
// rather than at every collection.
func (m *machine) picture(p *Picture) {
	p.Host = m.shown.Host
	if f := m.judge.Holds(); f.Verdict.Convicts() {
		p.Host.Verdict, p.Host.Evidence = words(f.Verdict.String()), f.Evidence
	}
	p.Containers = append([]Container{}, m.shown.Containers...)
	p.Probes = append([]Probe{}, m.shown.Probes...)
	p.Pipeline = m.pipeline()
}

// The rows of the machine's track.
const (
	courseCPU = iota
	courseMemory
	courseThrottled
	coursePressure
	numCourseRows
)

// course returns the last collection's values for the machine's track, one per row.
func (m *machine) course() []float32 {
	h := &m.shown.Host
	row := []float32{
		courseCPU:    float32(h.CPU.Or(math.NaN())),
		courseMemory: float32(h.MemoryUsed.Over(h.MemoryLimit).Or(math.NaN())),
	}
	throttled, pressure := math.Inf(
		-1,
	), higher(
		higher(higher(math.Inf(-1), h.Pressure.CPU.Or(-1)), h.Pressure.Memory.Or(-1)),
		h.Pressure.IO.Or(-1),
	)
	for i := range m.shown.Containers {
		throttled = higher(throttled, m.shown.Containers[i].Throttled.Or(-1))
	}
	return append(row, orAbsent(throttled), orAbsent(pressure))
}

// orAbsent returns v, or NaN if v is negative, which means that there was no value.
func orAbsent(v float64) float32 {
	if v < 0 {
		return float32(math.NaN())
	}
	return float32(v)
}

func (m *machine) hostValues() Host {
	v := &m.view
	all, counted := v.rate(catalog.SystemCPUTime)
	mode := func(mode attribute.KeyValue) Figure {
		rate, ok := v.rate(catalog.SystemCPUTime, mode)
		return known(rate/all, ok && counted && all > 0)
	}
	h := Host{
		CPUs: known(
			v.value(catalog.SystemCPULogicalCount),
		),
		IOWait:      mode(semconv.CPUModeIOWait),
		Steal:       mode(semconv.CPUModeSteal),
		Load:        known(v.value(catalog.SystemLoad1)),
		MemoryLimit: known(v.value(catalog.SystemMemoryLimit)),
		MemoryUsed:  known(v.value(catalog.SystemMemoryUsage, semconv.SystemMemoryStateUsed)),
		SwapUsed:    known(v.value(catalog.SystemPagingUsage, semconv.SystemPagingStateUsed)),
		Pressure:    m.pressure(catalog.PressureScopeKey.String("host")),
	}
	h.CPU = known(1-mode(semconv.CPUModeIdle).Or(0)-h.IOWait.Or(0), counted && all > 0)
	return h
}

func (m *machine) pressure(with ...attribute.KeyValue) Pressure {
	of := func(resource string) Figure {
		stalled, ok := m.view.rate(
			catalog.PressureStallTime,
			append(
				[]attribute.KeyValue{
					catalog.PressureKindKey.String("some"),
					catalog.PressureResourceKey.String(resource),
				},
				with...)...)
		return known(min(stalled, 1), ok) // slightly above 1 if the kernel's clock differs from ours
	}
	return Pressure{CPU: of("cpu"), Memory: of("memory"), IO: of("io")}
}

// containers returns all containers, including those killed since the previous collection. If the
// sidecar runs outside a container, containers returns the sidecar's own cgroup. Containers are
// identified by path and ID, because with private cgroup namespaces each container's path is the
// root.
func (m *machine) containers() (all []Container) {
	seen := map[[2]attribute.Value]bool{}
	add := func(row *catalog.Metric, requireID bool) {
		for _, p := range m.view.now.of(row.Name) {
			path, _ := p.attrs.Value(catalog.CgroupPathKey)
			id, known := p.attrs.Value(semconv.ContainerIDKey)
			key := [2]attribute.Value{path, id}
			if !seen[key] && (known || !requireID) {
				seen[key] = true
				all = append(all, m.container(path, id))
			}
		}
	}
	add(catalog.ContainerCPUTime, false)
	add(catalog.CgroupMemoryEvents, true) // the last points of containers that have ended
	return all
}

// container returns the container with the given path and ID. If id is the zero Value, only points
// without an ID belong to the container.
func (m *machine) container(path, id attribute.Value) Container {
	v := &m.view
	of := []attribute.KeyValue{{Key: catalog.CgroupPathKey, Value: path}, {Key: semconv.ContainerIDKey, Value: id}}
	c := Container{
		Path:     path.AsString(),
		ID:       id.AsString(),
		CPU:      known(v.rate(catalog.ContainerCPUTime, of...)),
		CPULimit: known(v.value(catalog.CgroupCPULimit, of...)),
		Throttled: known(
			v.rate(catalog.CgroupCPUThrottledPeriods, of...),
		).Over(known(v.rate(catalog.CgroupCPUPeriods, of...))),
		Memory:      known(v.value(catalog.ContainerMemoryWorkingSet, of...)),
		MemoryLimit: known(v.value(catalog.CgroupMemoryLimit, of...)),
		Pressure:    m.pressure(of...),
	}
	c.OOMKills = known(v.value(catalog.CgroupMemoryEvents, append(of, catalog.CgroupEventKey.String("oom_kill"))...))
	v.each(catalog.ContainerCPUTime, semconv.K8SContainerNameKey, func(name attribute.KeyValue) {
		if _, ok := v.value(catalog.ContainerCPUTime, append(of, name)...); ok {
			c.Name = name.Value.AsString()
		}
	})
	return c
}

// pipeline returns the state of the queue for the upstream, and the rates at which items were
// accepted, sent and lost since the previous collection.
func (m *machine) pipeline() Pipeline {
	v := &m.view
	p := Pipeline{
		Lanes:     []Lane{},
		QueueUsed: known(v.value(catalog.RelayQueueUsage)), QueueLimit: known(v.value(catalog.RelayQueueLimit)),
		Durable: known(v.value(catalog.RelayQueueDurable)), Connections: known(v.value(catalog.RelayConnections)),
	}
	v.each(catalog.RelayPoints, catalog.LaneKey, func(lane attribute.KeyValue) {
		rate := func(outcome string) Figure {
			n, ok := v.gained(catalog.RelayPoints, lane, catalog.PointOutcomeKey.String(outcome))
			return known(n/v.elapsed.Seconds(), ok)
		}
		p.Lanes = append(p.Lanes, Lane{
			Name:      lane.Value.AsString(),
			Available: known(v.value(catalog.UpstreamAvailable, lane)),
			Queued:    known(v.value(catalog.RelayQueuePoints, lane)),
			Oldest:    known(v.value(catalog.RelayQueueAge, lane)),
			Accepted: rate(
				"accepted",
			),
			Sent:     rate("sent"),
			Rejected: rate("rejected"),
			Dropped:  rate("dropped"),
			Refused:  rate("refused"),
		})
	})
	slices.SortFunc(p.Lanes, func(a, b Lane) int { return strings.Compare(a.Name, b.Name) })
	return p
}

// probeState keeps the last results of a probe, because most probes run less often than the sidecar
// collects its metrics.
type probeState struct {
	failed         string
	phases         map[string]float64
	stretch, delay Figure
	seen           bool
}

// probe returns the state of a probe, creating it if necessary, and marks the probe as seen.
func (m *machine) probe(name, target string) *probeState {
	key := name + "\x00" + target
	if m.probes[key] == nil {
		m.probes[key] = &probeState{phases: map[string]float64{}}
	}
	m.probes[key].seen = true
	return m.probes[key]
}

func (m *machine) probeResults() (all []Probe) {
	for _, state := range m.probes {
		state.seen = false
	}
	if p, ok := m.cpuProbe(); ok {
		all = append(all, p)
	}
	for _, name := range catalog.ProbeNames { // the CPU probes have no target
		with := catalog.ProbeNameKey.String(name)
		m.view.each(catalog.ProbeRuns, catalog.ProbeTargetKey, func(target attribute.KeyValue) {
			if _, ok := m.view.value(catalog.ProbeRuns, with, target); ok {
				all = append(all, m.targetProbe(m.probe(name, target.Value.AsString()), with, target))
			}
		})
		m.view.each(catalog.ProbeSkipped, catalog.ProbeTargetKey, func(target attribute.KeyValue) {
			_, skips := m.view.value(catalog.ProbeSkipped, with, target)
			if _, runs := m.view.value(catalog.ProbeRuns, with, target); skips && !runs {
				all = append(all, Probe{Name: name, Target: target.Value.AsString(), Failed: "no run has finished"})
			}
		})
	}
	maps.DeleteFunc(m.probes, func(_ string, state *probeState) bool { return !state.seen })
	return all
}

func (m *machine) cpuProbe() (p Probe, ok bool) {
	v, state := &m.view, m.probe("cpu", "")
	if mean, ok := v.mean(catalog.ProbeCPUStretch); ok {
		state.stretch = Known(mean)
	}
	if mean, ok := v.mean(catalog.ProbeCPURunDelay); ok {
		state.delay = Known(mean)
	}
	p = Probe{
		Name:     "cpu",
		Stretch:  state.stretch,
		RunDelay: state.delay,
		Parallelism: known(
			v.value(catalog.ProbeParallelism),
		),
		Requested: known(v.value(catalog.ProbeParallelismRequested)),
	}
	return p, !p.Stretch.IsZero() || !p.RunDelay.IsZero() || !p.Parallelism.IsZero()
}

// targetProbe returns the results of the last runs of the probe with the given name and target.
func (m *machine) targetProbe(state *probeState, name, target attribute.KeyValue) Probe {
	if failure := m.failures(name, target); failure != "" {
		state.failed = failure
		clear(state.phases) // they are from an earlier run
	} else if m.view.grew(catalog.ProbeRuns, name, target) {
		state.failed = ""
	}
	p := Probe{Name: name.Value.AsString(), Target: target.Value.AsString(), Failed: state.failed}
	for _, phase := range catalog.ProbePhases {
		mean, ok := m.view.mean(catalog.ProbeDuration, name, target, catalog.ProbePhaseKey.String(phase))
		if ok && state.failed == "" {
			state.phases[phase] = mean
		}
		if seconds, ok := state.phases[phase]; ok {
			p.Phases = append(p.Phases, Phase{Name: phase, Seconds: Known(seconds)})
		}
	}
	return p
}

// failures returns the error types of the runs that failed since the previous collection, or "" if
// none failed.
func (m *machine) failures(name, target attribute.KeyValue) string {
	var kinds []string
	m.view.each(catalog.ProbeRuns, semconv.ErrorTypeKey, func(kind attribute.KeyValue) {
		if m.view.grew(catalog.ProbeRuns, name, target, kind) {
			kinds = append(kinds, kind.Value.AsString())
		}
	})
	return strings.Join(kinds, ", ")
}
