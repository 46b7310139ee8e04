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

// For all measurements, the bounds of the task's own time are in order and within the wall time,
// and the parts of the profile add up to the wall time.
func TestBoundsHoldForRandomFigures(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d) + 1)) }
	for range 2000 {
		f := figures{calls: 1 + rng.IntN(100), processors: 2, wall: upTo(time.Second), mutex: upTo(time.Second)}
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
			t.Fatalf("%+v has the bounds %+v", f, o)
		}
		if low, high := o.cpuShare(); low < 0 || low > high || high > 1 {
			t.Fatalf("%+v: on a CPU for %v to %v", f, low, high)
		}
		p := f.classify()
		if blocked, known := p.Blocked.Get(); known &&
			(blocked < 0 || p.RunQueue.Or(-1) < 0 || p.OnCPU.Or(0)+p.RunQueue.Or(0)+blocked != f.wall) {
			t.Fatalf("%+v: the parts of %+v", f, p)
		}
	}
}

func TestShortHasThreeDigits(t *testing.T) {
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
		t.Errorf("mutex %v, latency %v, want %v", mutex, latency, want)
	}
	if _, latency := reading(1, 5, 5, 7).since(before); latency.Or(0) != 3*time.Millisecond {
		t.Errorf("in the last bucket: %v, want 3ms", latency)
	}
	if _, latency := before.since(before); latency != (instrument.Optional[time.Duration]{}) {
		t.Errorf("without new samples: %v", latency)
	}
	if now := readRuntime(); now.latency == nil || len(now.latency.Counts) == 0 {
		t.Error("the runtime reports no latencies")
	}
}

// The measurements contain everything that the system reports.
func TestFiguresOfTheThreadAreRead(t *testing.T) {
	var m measurement
	if err := m.take(t.Context(), 3, sleep); err != nil {
		t.Fatal(err)
	}
	if _, known := m.cpu.Get(); known != thread.HasClock {
		t.Errorf("CPU time %v", m.cpu)
	}
	delay, err := thread.OpenDelay()
	if err == nil {
		defer delay.Close()
	}
	_, reported := delay.Total()
	if _, known := m.queue.Get(); known != reported {
		t.Errorf("run queue %v, which the system reports: %v", m.queue, reported)
	}
	if counts, reported := thread.ReadCounts(); reported &&
		(counts.Voluntary < 3 || m.sleeps.Or(0) < 3 || m.profile().VoluntarySwitches.Or(0) != m.sleeps.Or(-1)) {
		t.Errorf("slept %v times, want at least 3", m.sleeps)
	}
	if _, known := m.profile().MinorFaults.Get(); known != m.hasCounts {
		t.Errorf("page faults known: %v, reported: %v", known, m.hasCounts)
	}
	if m.processors < 1 || m.trace == nil || m.profile().ProcessMutex != m.mutex {
		t.Errorf("%+v", m)
	}
}

func TestTheTableHasEveryKnownFigure(t *testing.T) {
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
		"wall 20ms per call, 2 calls", "for select 10ms 50.0 %, 4 times", "started 3 goroutines in total, which together ran for 4ms per call",
		"context switches 7 voluntary and 8 involuntary, in total", "page faults 1 major and 2 minor, in total",
		"CPU quota 0.5 CPUs; throttled in 3 of 9 periods", "allocated 150 B in 2.5 objects per call", "CPU 3ms per call",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%v", want, p)
		}
	}
	if strings.Contains(text, "for sleep") {
		t.Errorf("a wait of less than 1 %% is in\n%v", p)
	}
	if none := (&Profile{Calls: 1}).String(); strings.Contains(none, "started") || strings.Contains(none, "±") {
		t.Errorf("unknown figures are in\n%s", none)
	}
}

func TestATraceWithoutTheCallsIsAnError(t *testing.T) {
	tr := startTracer()
	tr.stop()
	if _, err := tr.account(); err == nil || !strings.Contains(err.Error(), "does not contain the profiled calls") {
		t.Errorf("%v", err)
	}
	tr = &tracer{cut: true}
	if _, err := tr.account(); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("a trace that was cut: %v", err)
	}
	full := &tracer{}
	if _, _ = full.Write(make([]byte, maxTrace)); full.cut || full.data.Len() != maxTrace {
		t.Errorf("%d bytes kept, cut: %v", full.data.Len(), full.cut)
	}
	if n, err := full.Write([]byte{1}); !full.cut || full.data.Len() != maxTrace || n != 1 || err != nil {
		t.Errorf("%d bytes kept, cut: %v, %v", full.data.Len(), full.cut, err)
	}
}

func TestADamagedTraceIsAnError(t *testing.T) {
	tr := startTracer()
	tr.stop()
	damaged := bytes.NewReader(tr.data.Bytes()[:tr.data.Len()-1])
	if _, err := readTrace(
		damaged,
	); err == nil ||
		strings.Contains(err.Error(), "does not contain the profiled calls") {
		t.Errorf("%v", err)
	}
}
