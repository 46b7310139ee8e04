package profile

import (
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"runtime/trace"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/thread"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

// measurement holds everything that is measured during the calls.
type measurement struct {
	factors

	counts     thread.Counts
	hasCounts  bool
	processCPU time.Duration
	allocs     uint64
	bytes      uint64
}

// measure makes up to n calls to fn and measures them.
func (m *measurement) measure(ctx context.Context, n int, fn func(context.Context) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := startTracer()
	defer t.stop()
	var before, after runtime.MemStats
	// ReadMemStats stops the world but, unlike runtime/metrics, counts every small object.
	runtime.ReadMemStats(&before)
	runtimeBefore, quotaBefore := readRuntime(), throttle.Read()
	err := m.timeCalls(ctx, n, fn)
	if q, ok := throttle.Read().Since(quotaBefore); ok {
		m.quota = &q
	}
	m.mutex, m.latency = readRuntime().since(runtimeBefore)
	runtime.ReadMemStats(&after)
	m.allocs, m.bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	t.stop()
	m.trace, m.traceErr = t.account()
	m.processors = runtime.GOMAXPROCS(0)
	return err
}

// timeCalls makes the calls between two readings of the thread's clocks. The wall clock is the last
// clock that it reads before the calls and the first that it reads after them, so that reading the
// others does not look like blocking.
func (m *measurement) timeCalls(ctx context.Context, n int, fn func(context.Context) error) (err error) {
	delay, _ := thread.OpenDelay() // on an error delay is nil, which is valid
	defer delay.Close()
	defer trace.StartRegion(ctx, regionName).End()
	counts, hasCounts := thread.ReadCounts()
	process := thread.ProcessCPU()
	waited, hasDelay := delay.Total()
	cpu := thread.CPU()
	start := time.Now()

	m.calls, err = loop(ctx, n, fn)

	m.wall = time.Since(start)
	cpu = thread.CPU() - cpu
	if total, ok := delay.Total(); ok && hasDelay {
		m.queue = instrument.Some(min(total-waited, m.wall))
	}
	if thread.HasClock {
		m.cpu = instrument.Some(min(cpu, m.wall))
	}
	m.processCPU = thread.ProcessCPU() - process
	if hasCounts {
		m.counts, m.hasCounts = thread.ReadCounts()
		m.counts.MinorFaults -= counts.MinorFaults
		m.counts.MajorFaults -= counts.MajorFaults
		m.counts.Voluntary -= counts.Voluntary
		m.counts.Involuntary -= counts.Involuntary
		m.sleeps = instrument.Some(m.counts.Voluntary)
	}
	return err
}

// profile returns the Profile of the measured calls.
func (m *measurement) profile() *Profile {
	p := m.classify()
	p.ProcessCPU, p.ProcessAllocs, p.ProcessBytes, p.ProcessMutex = m.processCPU, m.allocs, m.bytes, m.mutex
	if m.hasCounts {
		p.MinorFaults, p.MajorFaults = instrument.Some(m.counts.MinorFaults), instrument.Some(m.counts.MajorFaults)
		p.VoluntarySwitches, p.InvoluntarySwitches = instrument.Some(
			m.counts.Voluntary,
		), instrument.Some(
			m.counts.Involuntary,
		)
	}
	return p
}

// runtimeReading holds Go runtime counters for the whole process.
type runtimeReading struct {
	mutex   float64 // seconds
	latency *metrics.Float64Histogram
}

func readRuntime() runtimeReading {
	s := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}, {Name: "/sched/latencies:seconds"}}
	metrics.Read(s)
	var r runtimeReading
	if s[0].Value.Kind() == metrics.KindFloat64 {
		r.mutex = s[0].Value.Float64()
	}
	if s[1].Value.Kind() == metrics.KindFloat64Histogram {
		r.latency = s[1].Value.Float64Histogram()
	}
	return r
}

// since returns, for the time between before and r, how long goroutines waited for mutexes in
// total, and how long a ready goroutine waited for Go's scheduler on average. latency is absent if
// the runtime sampled no such wait.
func (r runtimeReading) since(before runtimeReading) (mutex time.Duration, latency instrument.Optional[time.Duration]) {
	mutex = time.Duration((r.mutex - before.mutex) * float64(time.Second))
	if r.latency == nil || before.latency == nil || len(r.latency.Counts) != len(before.latency.Counts) {
		return mutex, latency
	}
	var sum, count float64
	for i, n := range r.latency.Counts {
		added := float64(n - before.latency.Counts[i])
		upper := r.latency.Buckets[i+1]
		if math.IsInf(upper, 1) {
			upper = r.latency.Buckets[i]
		}
		sum += added * upper
		count += added
	}
	if count > 0 {
		latency = instrument.Some(time.Duration(sum / count * float64(time.Second)))
	}
	return mutex, latency
}
