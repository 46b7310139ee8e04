package prometheus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/rules"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// fault is a fault that occurs next to three calm pools and a healthy sidecar, with exactly the
// alerts that it must raise.
type fault struct {
	app      app
	world    func(*catalog.Metric, attribute.Set) (float64, bool)
	pods     []pod         // in place of app and world
	duration time.Duration // half an hour if 0
	alerts   []string      // each is a name, or name ×n if the alert fires n times at the same time
}

// wrong returns a function that overrides the growth or the value of those series of m that have
// the matching attributes.
func wrong(
	m *catalog.Metric,
	v float64,
	matching ...attribute.KeyValue,
) func(*catalog.Metric, attribute.Set) (float64, bool) {
	return func(got *catalog.Metric, a attribute.Set) (float64, bool) {
		for _, kv := range matching {
			if is, ok := a.Value(kv.Key); !ok || is != kv.Value {
				return 0, false
			}
		}
		return v, got == m
	}
}

var (
	memory  = []attribute.KeyValue{catalog.PressureResourceKey.String("memory"), catalog.PressureKindKey.String("some")}
	ofHost  = append(slices.Clip(memory), catalog.PressureScopeKey.String("host"))
	ofGroup = append(slices.Clip(memory), catalog.PressureScopeKey.String("cgroup"))
	syncs   = []attribute.KeyValue{catalog.ProbeNameKey.String("disk"), catalog.ProbePhaseKey.String("sync")}
	used    = semconv.SystemFilesystemStateUsed
	tcp     = []attribute.KeyValue{catalog.ProbeNameKey.String("tcp"), attribute.String("error.type", "timeout")}
	full    = []attribute.KeyValue{catalog.LaneKey.String("metrics"), catalog.PointOutcomeKey.String("dropped")}
)

// three returns three sidecars of one node, which all report the same values.
func three(w func(*catalog.Metric, attribute.Set) (float64, bool)) []pod {
	var pods []pod
	for _, name := range []string{"a", "b", "c"} {
		sick := healthy()
		sick.fault = w
		pods = append(pods, pod{name: name, world: sick, until: 40 * time.Minute})
	}
	return pods
}

var faults = map[string]fault{
	"three hours at 70%":         {pods: []pod{{app: busy.run, world: healthy(), until: 3 * time.Hour}}},
	"rolling restart":            {pods: rolling(busy.run)},
	"uses get slower, with room": {app: slower},
	"bursts at the start":        {pods: []pod{{app: bursts, world: healthy(), until: 20 * time.Minute}}},
	"scaled to zero": {
		pods: []pod{
			{app: calm.run, world: healthy(), until: 20 * time.Minute},
			{name: "other", world: healthy(), until: time.Hour},
		},
	},
	"saturated":                {app: saturated, alerts: []string{"PoolSaturated"}},
	"waiting forever":          {app: hangs, alerts: []string{"PoolStuck"}},
	"deadlock of database/sql": {app: deadlock, duration: 40 * time.Minute, alerts: []string{"PoolStuck"}},
	"rejected":                 {app: rejecting, alerts: []string{"PoolNotServing"}},
	"timed out":                {app: timingOut, alerts: []string{"PoolNotServing"}},
	"creating fails":           {app: refusing, alerts: []string{"PoolCreateFailing"}},
	"creating times out":       {app: unreachable, alerts: []string{"PoolCreateFailing"}},
	"the database is down":     {app: down, alerts: []string{"PoolCreateFailing"}},
	"tasks fail":               {app: failing, alerts: []string{"PoolUsesFailing"}},
	"tasks panic":              {app: panicking, alerts: []string{"PoolUsesFailing"}},
	"head of line":             {app: headOfLine, alerts: []string{"PoolWaitsWithRoom"}},
	"larger than the pool":     {app: tooLarge, alerts: []string{"PoolWaitsWithRoom"}},
	"one full host of many":    {app: fullHost, alerts: []string{"PoolSaturated"}},
	"a full listener":          {app: fullListener, alerts: []string{"PoolFull"}},
	"leases are not returned":  {app: leaking, duration: 150 * time.Minute, alerts: []string{"PoolLeaking"}},
	"bursts":                   {app: bursts, duration: 90 * time.Minute, alerts: []string{"PoolWaitsOverObjective"}},
	"quota": {
		world:    wrong(catalog.CgroupCPUThrottledPeriods, 4),
		duration: 40 * time.Minute,
		alerts:   []string{"ContainerThrottled"},
	},
	"memory pressure": {
		world:  wrong(catalog.PressureStallTime, 0.2, ofGroup...),
		alerts: []string{"MemoryPressure"},
	},
	"memory pressure of the host": {
		pods:   three(wrong(catalog.PressureStallTime, 0.2, ofHost...)),
		alerts: []string{"MemoryPressure"},
	},
	"OOM kill": {
		world: wrong(
			catalog.CgroupMemoryEvents,
			0.005,
			catalog.CgroupEventKey.String("oom_kill"),
		),
		alerts: []string{"OutOfMemory"},
	},
	"a volume fills": {
		pods:   three(wrong(catalog.SystemFilesystemUsage, 30, used)),
		alerts: []string{"VolumeFilling"},
	},
	"no inodes are left": {world: wrong(catalog.FilesystemInodes, 30, used), alerts: []string{"VolumeFilling"}},
	"slow disk":          {pods: three(wrong(catalog.ProbeDuration, 0.4, syncs...)), alerts: []string{"DiskSlow"}},
	"probe fails":        {pods: three(wrong(catalog.ProbeRuns, 3, tcp...)), alerts: []string{"ProbeFailing"}},
	"old certificate": {
		world:  wrong(catalog.ProbeCertificateRemaining, 86400),
		alerts: []string{"CertificateExpiring"},
	},
	"points are dropped": {
		world:  either(wrong(catalog.RelayPoints, 2, full...), wrong(catalog.RelayQueueUsage, 4e6)),
		alerts: []string{"SidecarDropping"},
	},
	"the queue fills": {
		world:  either(wrong(catalog.RelayQueueUsage, 3e6), wrong(catalog.RelayQueueAge, 900)),
		alerts: []string{"SidecarQueueFilling"},
	},
	"upstream unreachable": {
		world: either(
			wrong(catalog.UpstreamAvailable, 0, catalog.LaneKey.String("traces")),
			wrong(catalog.RelayQueueAge, 900),
		),
		alerts: []string{"SidecarUpstreamAway"},
	},
	"a slow upstream": {
		world:  wrong(catalog.RelayQueueAge, 900, catalog.LaneKey.String("logs")),
		alerts: []string{"SidecarBehind"},
	},
	"queue storage is failing": {
		world:  wrong(catalog.RelayQueueDurable, 0),
		alerts: []string{"SidecarQueueNotDurable"},
	},
	"the sidecar dies": {
		pods:   []pod{{app: calm.run, world: dying(), until: 40 * time.Minute}},
		alerts: []string{"SidecarAbsent"},
	},
}

func either(
	a, b func(*catalog.Metric, attribute.Set) (float64, bool),
) func(*catalog.Metric, attribute.Set) (float64, bool) {
	return func(m *catalog.Metric, s attribute.Set) (float64, bool) {
		if v, ok := a(m, s); ok {
			return v, ok
		}
		return b(m, s)
	}
}

func dying() *world {
	w := healthy()
	w.diesAt = 15 * time.Minute
	return w
}

// rolling returns four pods that replace each other, with an overlap of a minute.
func rolling(a app) []pod {
	var pods []pod
	for i, name := range []string{"a", "b", "c", "d"} {
		from := time.Duration(i) * 12 * time.Minute
		pods = append(pods, pod{name: name, app: a, world: healthy(), from: from, until: from + 13*time.Minute})
	}
	return pods
}

func (f fault) timeline(t *testing.T) []export {
	t.Helper()
	if f.pods != nil {
		return timeline(t, f.pods...)
	}
	p := pod{app: calm.run, world: healthy(), until: f.duration}
	p.world.fault = f.world
	if f.app != nil {
		p.app = together(calm.run, f.app)
	}
	if p.until == 0 {
		p.until = 30 * time.Minute
	}
	return timeline(t, p)
}

func TestEveryAlertFiresOnlyInItsFault(t *testing.T) {
	withoutRace(t)
	covered := map[string]bool{}
	for name, f := range faults {
		for _, a := range f.alerts {
			covered[a] = true
		}
		t.Run(name, func(t *testing.T) {
			exports := f.timeline(t) // one after the other, since pools belong to the process
			t.Parallel()
			if got := fired(t, exports, 0); !slices.Equal(got, f.alerts) {
				t.Errorf("fired: %q, want %q", got, f.alerts)
			}
		})
	}
	for _, a := range alertingRules(t) {
		if !covered[a.Name()] {
			t.Errorf("no fault makes %s fire", a.Name())
		}
	}
}

// For a pool with a limit for each host, the alert names the host that is full.
func TestAlertNamesTheFullHost(t *testing.T) {
	withoutRace(t)
	var summaries []string
	evaluate(t, fault{app: fullHost}.timeline(t), 0, func(g *rules.Group) {
		for _, r := range g.AlertingRules() {
			r.ForEachActiveAlert(func(a *rules.Alert) {
				if a.State == rules.StateFiring && !slices.Contains(summaries, a.Annotations.Get("summary")) {
					summaries = append(summaries, a.Annotations.Get("summary"))
				}
			})
		}
	})
	if len(summaries) != 1 || !strings.HasPrefix(summaries[0], "Pool faulty (host-7:443) of ") {
		t.Errorf("summaries %q, want one that starts with \"Pool faulty (host-7:443) of \"", summaries)
	}
}

// Three minutes after a process has exited, none of its alerts fires.
func TestNoAlertOfAProcessThatIsGone(t *testing.T) {
	withoutRace(t)
	const duration = 30 * time.Minute
	for name, a := range map[string]app{
		"saturated": saturated, "stuck": hangs, "rejecting": rejecting, "bursts": bursts, "refusing": refusing, "failing": failing, "full": fullListener,
		"head of line": headOfLine,
	} {
		t.Run(name, func(t *testing.T) {
			exports := timeline(
				t,
				pod{app: a, until: duration},
				pod{name: "other", app: calm.run, world: healthy(), until: duration + 20*time.Minute},
			)
			t.Parallel()
			if got := fired(t, exports, duration+3*time.Minute); len(got) > 0 {
				t.Errorf("fired: %q, want none", got)
			}
		})
	}
}

// withoutRace skips a test that simulates hours of Prometheus if the race detector is enabled,
// since that would make it five times as slow. `make alerts` runs the test instead.
func withoutRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("too slow with the race detector; make alerts runs it")
	}
}

// fired returns the sorted names of the alerts that fired, ignoring the period skip at the start.
func fired(t *testing.T, exports []export, skip time.Duration) []string {
	t.Helper()
	maxFiring := map[string]int{}
	evaluate(t, exports, skip, func(g *rules.Group) { count(g, maxFiring) })
	var list []string
	for _, name := range slices.Sorted(maps.Keys(maxFiring)) {
		if maxFiring[name] > 1 {
			name += fmt.Sprintf(" ×%d", maxFiring[name])
		}
		list = append(list, strings.TrimSpace(name))
	}
	return list
}

// evaluate replays exports into a new Prometheus and evaluates the rules as Prometheus does. It
// calls show with each group after each evaluation, except in the period skip at the start.
func evaluate(t *testing.T, exports []export, skip time.Duration, show func(*rules.Group)) {
	t.Helper()
	e := startEngine(t)
	groups, err := e.Rules(t.Context(), deploy+"/prometheus/rules.yaml", evaluation)
	if err != nil {
		t.Fatal(err)
	}
	next := exports[0].at.Truncate(evaluation).Add(evaluation)
	since := exports[0].at.Add(skip - interval)
	for _, x := range exports {
		for ; x.at.After(next); next = next.Add(evaluation) {
			for _, g := range groups {
				g.Eval(t.Context(), next)
				checkRuleErrors(t, g)
				if next.After(since) {
					show(g)
				}
			}
		}
		ingest(t, e, x.body)
	}
}

// evaluation is the interval at which the rules are evaluated: Prometheus's default, which is twice
// the interval in prometheus.yml.
const evaluation = time.Minute

// count updates maxFiring, the maximum number of times that each alert fired at the same time.
func count(g *rules.Group, maxFiring map[string]int) {
	firing := map[string]int{}
	for _, r := range g.AlertingRules() {
		r.ForEachActiveAlert(func(a *rules.Alert) {
			if a.State == rules.StateFiring {
				firing[r.Name()]++
			}
		})
	}
	for name, n := range firing {
		maxFiring[name] = max(maxFiring[name], n)
	}
}

func checkRuleErrors(t *testing.T, g *rules.Group) {
	t.Helper()
	for _, r := range g.Rules() {
		if err := r.LastError(); err != nil {
			t.Fatalf("evaluating rule %s: %v", r.Name(), err)
		}
	}
}

func alertingRules(t *testing.T) []*rules.AlertingRule {
	t.Helper()
	groups, err := startEngine(t).Rules(t.Context(), deploy+"/prometheus/rules.yaml", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var all []*rules.AlertingRule
	for _, g := range groups {
		all = append(all, g.AlertingRules()...)
	}
	return all
}
