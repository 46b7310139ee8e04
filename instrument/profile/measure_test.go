package profile

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/thread"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

// For any measurements, the bounds of the task's own time are in order and within the wall time,
// and the parts of the profile add up to the wall time.
func TestBoundsHoldForRandomMeasurements(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d) + 1)) }
	for range 2000 {
		f := factors{calls: 1 + rng.IntN(100), processors: 2, wall: upTo(time.Second), mutex: upTo(time.Second)}
		if rng.IntN(4) > 0 {
			f.cpu = some(upTo(f.wall))
		}
		if rng.IntN(4) > 0 {
			f.queue = some(upTo(f.wall))
		}
		if rng.IntN(2) == 0 {
			f.latency, f.sleeps = some(upTo(time.Millisecond)), instrument.Some(rng.Int64N(100))
		}
		if rng.IntN(2) == 0 {
			active := upTo(f.wall)
			runnable := upTo(f.wall - active)
			f.trace = traced(active, runnable, Wait{"sleep", f.wall - active - runnable, 1})
		}
		if rng.IntN(4) == 0 {
			f.quota = &throttle.Stops{Quota: 1, Periods: 2, Throttled: 1, Time: upTo(f.wall)}
		}
		o := f.split()
		if o.cpu.low < 0 || o.cpu.low > o.cpu.high || o.blocked.low < 0 || o.blocked.low > o.blocked.high ||
			o.blocked.high > f.wall {
			t.Fatalf("%+v: bounds %+v are out of order, negative or above the wall time", f, o)
		}
		if low, high := o.cpuShare(); low < 0 || low > high || high > 1 {
			t.Fatalf("%+v: CPU share from %v to %v, want 0 <= low <= high <= 1", f, low, high)
		}
		p := f.classify()
		if blocked, known := p.Blocked.Get(); known &&
			(blocked < 0 || p.RunQueue.Or(-1) < 0 || p.OnCPU.Or(0)+p.RunQueue.Or(0)+blocked != f.wall) {
			t.Fatalf("%+v: on CPU, run queue and blocked do not add up to the wall time: %+v", f, p)
		}
	}
}

func TestShort(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		0: 0, 999: 999, 1234: 1230, 12345: 12300, 999_600: 1_000_000, -1236: -1240,
		1234567 * time.Microsecond: 1230 * time.Millisecond, 100 * time.Hour: 100 * time.Hour,
	} {
		if got := short(given); got != want {
			t.Errorf("short(%v) = %v, want %v", given, got, want)
		}
	}
}

// The mean latency covers only the new samples, and is computed from the upper bounds of their
// buckets. The last bucket has no upper bound, so its lower bound is used.
func TestSchedulerLatencyOfNewSamples(t *testing.T) {
	reading := func(mutex float64, counts ...uint64) runtimeReading {
		last := metrics.Float64Histogram{Counts: counts, Buckets: []float64{0, 0.001, 0.003, math.Inf(1)}}
		return runtimeReading{mutex: mutex, latency: &last}
	}
	before := reading(1, 5, 5, 5)
	mutex, latency := reading(1.5, 6, 7, 5).since(before)
	if want := 7 * time.Millisecond / 3; mutex != time.Second/2 || (latency.Or(0)-want).Abs() > time.Microsecond {
		t.Errorf("got mutex %v, latency %v; want 500ms, %v", mutex, latency, want)
	}
	if _, latency := reading(1, 5, 5, 7).since(before); latency.Or(0) != 3*time.Millisecond {
		t.Errorf("samples in the last bucket: got latency %v, want 3ms", latency)
	}
	if _, latency := before.since(before); latency != (instrument.Optional[time.Duration]{}) {
		t.Errorf("without new samples: got latency %v, want none", latency)
	}
	if now := readRuntime(); now.latency == nil || len(now.latency.Counts) == 0 {
		t.Error("readRuntime: got no scheduler latencies")
	}
}

// A measurement contains everything that the system reports.
func TestMeasurementIsComplete(t *testing.T) {
	var m measurement
	if err := m.measure(t.Context(), 3, sleep); err != nil {
		t.Fatal(err)
	}
	if _, known := m.cpu.Get(); known != thread.HasClock {
		t.Errorf("got CPU time %v, reported by the system: %v", m.cpu, thread.HasClock)
	}
	delay, err := thread.OpenDelay()
	if err == nil {
		defer delay.Close()
	}
	_, reported := delay.Total()
	if _, known := m.queue.Get(); known != reported {
		t.Errorf("got run queue time %v, reported by the system: %v", m.queue, reported)
	}
	if counts, reported := thread.ReadCounts(); reported &&
		(counts.Voluntary < 3 || m.sleeps.Or(0) < 3 || m.profile().VoluntarySwitches.Or(0) != m.sleeps.Or(-1)) {
		t.Errorf("got %v sleeps, want at least 3", m.sleeps)
	}
	if _, known := m.profile().MinorFaults.Get(); known != m.hasCounts {
		t.Errorf("page faults in the profile: %v, reported by the system: %v", known, m.hasCounts)
	}
	if m.processors < 1 || m.trace == nil || m.profile().ProcessMutex != m.mutex {
		t.Errorf("got %+v, want processors, a trace and the time spent waiting for mutexes", m)
	}
}

func TestTableHasAllKnownValues(t *testing.T) {
	p := &Profile{
		Calls:               2,
		Wall:                40 * ms,
		Started:             3,
		Ran:                 8 * ms,
		ProcessAllocs:       5,
		ProcessBytes:        300,
		ProcessCPU:          6 * ms,
		Waits:               []Wait{{"select", 20 * ms, 4}, {"sleep", ms / 10, 9}},
		VoluntarySwitches:   instrument.Some(int64(7)),
		InvoluntarySwitches: instrument.Some(int64(8)),
		MajorFaults:         instrument.Some(int64(1)),
		MinorFaults:         instrument.Some(int64(2)),
		Quota: instrument.Some(
			0.5,
		),
		ThrottledPeriods: instrument.Some(int64(3)),
		QuotaPeriods:     instrument.Some(int64(9)),
	}
	text := strings.Join(strings.Fields(p.String()), " ")
	for _, want := range []string{
		"wall 20ms per call, 2 calls", "for select 10ms 50.0%, 4 times", "started 3 goroutines in total, which together ran for 4ms per call",
		"context switches 7 voluntary and 8 involuntary, in total", "page faults 1 major and 2 minor, in total",
		"CPU quota 0.5 CPUs; throttled in 3 of 9 periods", "allocated 150 B in 2.5 objects per call", "CPU 3ms per call",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing from\n%v", want, p)
		}
	}
	if strings.Contains(text, "for sleep") {
		t.Errorf("a wait of less than 1%% of the wall time must not be in\n%v", p)
	}
	if none := (&Profile{Calls: 1}).String(); strings.Contains(none, "started") || strings.Contains(none, "±") {
		t.Errorf("unknown values must not be in\n%s", none)
	}
}

func TestTraceWithoutCallsIsAnError(t *testing.T) {
	tr := startTracer()
	tr.stop()
	if _, err := tr.account(); err == nil || !strings.Contains(err.Error(), "does not contain the profiled calls") {
		t.Errorf("trace without the calls: error %v, want one that says so", err)
	}
	tr = &tracer{truncated: true}
	if _, err := tr.account(); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("truncated trace: error %v, want one with the limit", err)
	}
	full := &tracer{}
	if _, _ = full.Write(make([]byte, maxTrace)); full.truncated || full.data.Len() != maxTrace {
		t.Errorf("at the limit: %d bytes kept, truncated: %v", full.data.Len(), full.truncated)
	}
	if n, err := full.Write([]byte{1}); !full.truncated || full.data.Len() != maxTrace || n != 1 || err != nil {
		t.Errorf("above the limit: %d bytes kept, truncated: %v, error %v", full.data.Len(), full.truncated, err)
	}
}

func TestDamagedTraceIsAnError(t *testing.T) {
	tr := startTracer()
	tr.stop()
	damaged := bytes.NewReader(tr.data.Bytes()[:tr.data.Len()-1])
	if _, err := readTrace(
		damaged,
	); err == nil ||
		strings.Contains(err.Error(), "does not contain the profiled calls") {
		t.Errorf("damaged trace: error %v, want one from reading it", err)
	}
}
