package prometheus

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/rules"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/pools"
)

// load is what an app does with its pools: requests come in steadily, on each a task of a worker, a lease and a permit.
type load struct {
	every time.Duration // a request
	use   time.Duration // for which it needs a slot
	leak  time.Duration // how often a lease is not given back; 0 is never
}

var calm = load{every: 250 * time.Millisecond, use: 50 * time.Millisecond}

const slots = 8

// run runs the app until the context is done.
func (l load) run(ctx context.Context, provider *sdkmetric.MeterProvider) {
	meters := instrument.WithMeterProvider(provider)
	workers, err := pools.NewWorkers("thumbnails", slots, pools.WorkersConfig{Queue: 64}, meters)
	must(err)
	defer workers.Close()
	permits, err := pools.NewSemaphore("uploads", slots, pools.SemaphoreConfig{}, meters)
	must(err)
	defer permits.Close()
	leases, err := pools.NewResources("connections", 60, func(context.Context) (int, error) { return 0, nil }, pools.ResourcesConfig[int]{}, meters)
	must(err)
	var leaked []pools.Lease[int]
	defer func() {
		for _, lease := range leaked {
			lease.Release()
		}
		leases.Close()
	}()
	requests := time.NewTicker(l.every)
	defer requests.Stop()
	var running sync.WaitGroup
	defer running.Wait() // before the pools are closed
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-requests.C:
		}
		running.Go(func() { l.request(ctx, workers, permits, leases) })
		if l.leak > 0 && time.Since(last) >= l.leak {
			if lease, err := leases.Acquire(ctx); err == nil {
				leaked, last = append(leaked, lease), time.Now()
			}
		}
	}
}

func (l load) request(ctx context.Context, workers *pools.Workers, permits *pools.Semaphore, leases *pools.Resources[int]) {
	patience, cancel := context.WithTimeout(ctx, 5*time.Second) // whoever waits gives up sometime
	defer cancel()
	work := func(context.Context) error { time.Sleep(l.use); return nil }
	_ = workers.Submit(patience, work) // that it was not served is what the metrics say
	if permits.Acquire(patience, 1) == nil {
		time.Sleep(l.use)
		permits.Release(1)
	}
	if lease, err := leases.Acquire(patience); err == nil {
		time.Sleep(l.use)
		lease.Release()
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fault is a healthy run in which something goes wrong, and the alerts that must come of it.
type fault struct {
	load    load
	lasting time.Duration
	hurt    func(w *world)
	alerts  []string
}

func grow(m *catalog.Metric, perSecond float64, matching ...attribute.KeyValue) func(*world) {
	return func(w *world) {
		w.special = func(got *catalog.Metric, a attribute.Set) (float64, bool) {
			for _, kv := range matching {
				if v, ok := a.Value(kv.Key); !ok || v != kv.Value {
					return 0, false
				}
			}
			return perSecond, got == m
		}
	}
}

var faults = map[string]fault{
	"healthy": {lasting: 3 * time.Hour},
	"every use takes 20 times as long": {
		load: load{every: 100 * time.Millisecond, use: time.Second}, lasting: 30 * time.Minute,
		alerts: []string{"PoolSaturated", "PoolWaitsOverObjective"},
	},
	"leases are not given back": {
		load: load{every: calm.every, use: calm.use, leak: 3 * time.Minute}, lasting: 150 * time.Minute, alerts: []string{"PoolLeaking"},
	},
	"quota": {lasting: 40 * time.Minute, hurt: grow(catalog.CgroupCPUThrottledPeriods, 4), alerts: []string{"ContainerThrottled"}},
	"memory pressure": {
		lasting: 40 * time.Minute, alerts: []string{"MemoryPressure"},
		hurt: grow(catalog.PressureStallTime, 0.2, catalog.PressureResourceKey.String("memory"), catalog.PressureKindKey.String("some")),
	},
	"killed for memory": {
		lasting: 20 * time.Minute, hurt: grow(catalog.CgroupMemoryEvents, 0.005, catalog.CgroupEventKey.String("oom_kill")), alerts: []string{"OutOfMemory"},
	},
	"slow disk": {
		lasting: 40 * time.Minute, hurt: func(w *world) { w.value[catalog.ProbeDuration] = 0.4 }, alerts: []string{"DiskSlow"},
	},
	"the queue is full": {
		lasting: 20 * time.Minute, hurt: grow(catalog.RelayPoints, 2, catalog.PointOutcomeKey.String("dropped")), alerts: []string{"SidecarDropping"},
	},
	"the sidecar dies": {
		lasting: 40 * time.Minute, hurt: func(w *world) { w.diesAt = 15 * time.Minute }, alerts: []string{"SidecarAbsent"},
	},
}

func TestEveryAlertFiresInItsFaultOnly(t *testing.T) {
	covered := map[string]bool{}
	for name, f := range faults {
		for _, a := range f.alerts {
			covered[a] = true
		}
		t.Run(name, func(t *testing.T) {
			w, app := healthy(), calm
			if f.hurt != nil {
				f.hurt(w)
			}
			if f.load.every > 0 {
				app = f.load
			}
			if got := fired(t, timeline(t, f.lasting, w, app.run)); !slices.Equal(got, f.alerts) {
				t.Errorf("fired: %v, want %v", got, f.alerts)
			}
		})
	}
	for _, a := range alertingRules(t) {
		if !covered[a.Name()] {
			t.Errorf("no fault makes %s fire", a.Name())
		}
	}
}

// fired replays exports into a new Prometheus, evaluates the rules every minute, and returns the alerts that fired, sorted.
func fired(t *testing.T, exports []export) []string {
	t.Helper()
	e := startEngine(t)
	groups, err := e.Rules(t.Context(), deploy+"/prometheus/rules.yaml", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	next := exports[0].at.Truncate(time.Minute).Add(time.Minute)
	for _, x := range exports {
		for ; x.at.After(next); next = next.Add(time.Minute) {
			for _, g := range groups {
				g.Eval(t.Context(), next)
				healthyRules(t, g)
				for _, a := range g.AlertingRules() {
					if a.State() == rules.StateFiring {
						names[a.Name()] = true
					}
				}
			}
		}
		ingest(t, e, x.body)
	}
	return slices.Sorted(maps.Keys(names))
}

func healthyRules(t *testing.T, g *rules.Group) {
	t.Helper()
	for _, r := range g.Rules() {
		if err := r.LastError(); err != nil {
			t.Fatalf("%s: %v", r.Name(), err)
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
