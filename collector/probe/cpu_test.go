package probe

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/thread"
)

func needThreadClock(t *testing.T) {
	t.Helper()
	if !thread.HasClock {
		t.Skip("this system does not report per-thread CPU time")
	}
}

// values returns the values of r's points by metric, without durations.
func values(r result) map[*catalog.Metric]float64 {
	out := map[*catalog.Metric]float64{}
	for _, p := range r.points {
		if p.metric != catalog.ProbeDuration {
			out[p.metric] = p.value
		}
	}
	return out
}

func TestCPUProbeMeasuresStretchAndWork(t *testing.T) {
	needThreadClock(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := &cpuProbe{read: readClocks}
	least := 0.0
	for range 3 {
		before := thread.CPU()
		r := p.run(t.Context())
		if r.kind == "disturbed" {
			continue // a busy machine may yield no result
		}
		v := values(r)
		if used := thread.CPU() - before; used < cpuWork {
			t.Errorf("a run used %v of CPU time, want at least %v", used, cpuWork)
		}
		// The clocks are read one after the other, so stretch may be slightly less than 1.
		if v[catalog.ProbeCPUStretch] < 0.99 {
			t.Errorf("stretch %v, want at least 0.99", v[catalog.ProbeCPUStretch])
		}
		work, floor := v[catalog.ProbeCPUWork], v[catalog.ProbeCPUWorkMin]
		if floor <= 0 || work < floor || least > 0 && floor > least {
			t.Errorf("a unit of work took %v s, with a minimum of %v s now and %v s before", work, floor, least)
		}
		least = floor
	}
}

// Units in which the thread slept are not counted, since Go's scheduler then ran another goroutine.
func TestStretchExcludesInterruptionsByTheSidecar(t *testing.T) {
	start := time.Now()
	var wall, cpu time.Duration
	var parked int64
	step := 0
	p := &cpuProbe{read: func() reading {
		r := reading{start.Add(wall), cpu, parked}
		step++
		wall, cpu = wall+time.Millisecond, cpu+500*time.Microsecond // stretch 2
		if step%3 == 0 {
			wall, parked = wall+50*time.Millisecond, parked+1
		}
		return r
	}}
	gotWall, gotCPU, units := p.compute()
	if gotWall != 10*time.Millisecond || gotCPU != cpuWork || units != 10 {
		t.Errorf("got %v wall, %v CPU, %d units; want 10ms, 5ms, 10", gotWall, gotCPU, units)
	}
}

func TestRunThatIsAlwaysInterruptedFails(t *testing.T) {
	const unit = 500 * time.Microsecond
	var used time.Duration
	p := &cpuProbe{read: func() reading {
		used += unit
		return reading{time.Time{}.Add(2 * used), used, int64(used / unit)}
	}}
	r := p.run(t.Context())
	if r.kind != "disturbed" || len(values(r)) != 0 {
		t.Errorf("got error type %q and values %v, want disturbed and no values", r.kind, values(r))
	}
	if used -= unit; used != 2*cpuWork {
		t.Errorf("the run gave up after %v of CPU time, want %v", used, 2*cpuWork)
	}
}

func TestParallelismProbeMeasuresTheCPUsItGets(t *testing.T) {
	needThreadClock(t)
	before := runtime.GOMAXPROCS(0)
	for _, k := range []int{0, 1, before + 1} {
		p := &parallelismProbe{cpus: func() int { return k }}
		r := p.run(t.Context())
		v := values(r)
		requested := max(1, k)
		if got := v[catalog.ProbeParallelismRequested]; got != float64(requested) {
			t.Errorf("%d CPUs: requested parallelism %v, want %d", k, got, requested)
		}
		// Each thread may use one unit of work more than the wall time covers.
		if got := v[catalog.ProbeParallelism]; got <= 0 || got > 1.2*float64(requested) {
			t.Errorf("%d CPUs: parallelism %v, want more than 0 and at most %v", k, got, 1.2*float64(requested))
		}
		if r.cost < burst {
			t.Errorf("%d CPUs: cost %v, want at least one burst, %v", k, r.cost, burst)
		}
		if got := runtime.GOMAXPROCS(0); got != before {
			t.Errorf("GOMAXPROCS was %d before the run and %d after it", before, got)
		}
	}
}

func TestParallelismProbeStopsWithItsContext(t *testing.T) {
	needThreadClock(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := (&parallelismProbe{cpus: func() int { return 2 }}).run(ctx)
	if len(r.points) != 0 || r.cost >= 2*burst {
		t.Errorf("a canceled run cost %v and recorded %v, want no points", r.cost, r.points)
	}
}
