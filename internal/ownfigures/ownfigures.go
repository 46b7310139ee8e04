// Package ownfigures reads what a process knows of itself without a sidecar, for verdicts on its
// pools.
package ownfigures

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// Read returns the figures of now: the CPU time of the process, how long its threads wait for a
// CPU, its goroutines that do, and its locks. It takes about 10 µs a thread.
func Read(now time.Time) diagnose.HostFigures {
	f := diagnose.UnknownHost(now)
	f.CPUs = float64(runtime.GOMAXPROCS(0))
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
