// Package ownfigures reads what a process knows of itself without a sidecar, for verdicts on its
// pools.
package ownfigures

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/thread"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

// Read returns the figures of now: the CPUs that the process may use and how often a quota stopped
// it, its CPU time, how long its threads wait for a CPU, its goroutines that do, and its locks. It
// takes about 50 µs, and 10 µs a thread. It is safe for concurrent use.
func Read(now time.Time) diagnose.HostFigures {
	f := diagnose.UnknownHost(now)
	f.CPUs = float64(runtime.GOMAXPROCS(0))
	own.add(throttle.Read(), &f)
	if cpu := thread.ProcessCPU(); cpu > 0 {
		f.BusyTime = cpu.Seconds()
	}
	if delay, ok := thread.ProcessDelay(); ok {
		f.QueueTime = delay.Seconds()
	}
	samples := []metrics.Sample{
		{Name: "/sync/mutex/wait/total:seconds"},
		{Name: "/sched/goroutines/runnable:goroutines"},
	}
	metrics.Read(samples)
	f.LockTime, f.Runnable = number(samples[0].Value), number(samples[1].Value)
	return f
}

var own quota

// quota adds up how often a CPU quota stopped the process. Of several groups with a quota, each
// interval between two readings counts for the one that was stopped for longest.
type quota struct {
	mu                 sync.Mutex // guards what follows
	last               throttle.Reading
	periods, throttled float64
}

// add adds a reading, and writes into f what is known by it. Without a quota nothing is.
func (q *quota) add(r throttle.Reading, f *diagnose.HostFigures) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s, ok := r.Since(q.last); ok {
		q.periods, q.throttled = q.periods+float64(s.Periods), q.throttled+float64(s.Throttled)
	}
	q.last = r
	if cpus, ok := r.Quota(); ok {
		f.CPUs = min(f.CPUs, cpus)
		f.Periods, f.Throttled = q.periods, q.throttled
	}
}

// number returns a figure of the runtime, NaN if this one does not have it.
func number(v metrics.Value) float64 {
	switch v.Kind() {
	case metrics.KindFloat64:
		return v.Float64()
	case metrics.KindUint64:
		return float64(v.Uint64())
	default:
		return math.NaN()
	}
}
