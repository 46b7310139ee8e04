// Package goroutines reports the process's goroutines by state, as the Go runtime has counted them
// since 1.26, and how long they wait for locks. If many goroutines are runnable but not running,
// they need more CPUs; if many are waiting, they need more of what they are waiting for.
package goroutines

import (
	"context"
	"runtime/metrics"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// states lists the values of [catalog.GoroutineStateKey], each with the runtime metric that counts
// goroutines in that state.
var states = [...]struct{ state, name string }{
	{"running", "/sched/goroutines/running:goroutines"},
	{"runnable", "/sched/goroutines/runnable:goroutines"},
	{"waiting", "/sched/goroutines/waiting:goroutines"},
	{"not_in_go", "/sched/goroutines/not-in-go:goroutines"},
}

const lockWait = "/sync/mutex/wait/total:seconds"

// Start registers a callback with meter that reports goroutines and lock waits at each collection.
// The callback takes a few µs.
func Start(meter metric.Meter) error {
	o, err := instruments.NewObservables(meter, catalog.Goroutines, catalog.LockWaitTime)
	if err != nil {
		return err
	}
	var options [len(states)]metric.ObserveOption
	for i, s := range states {
		options[i] = metric.WithAttributes(catalog.GoroutineStateKey.String(s.state))
	}
	_, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		var samples [len(states) + 1]metrics.Sample
		for i, s := range states {
			samples[i].Name = s.name
		}
		wait := &samples[len(states)]
		wait.Name = lockWait
		metrics.Read(samples[:])
		for i, option := range options {
			if v := samples[i].Value; v.Kind() == metrics.KindUint64 {
				o.Int(
					to,
					catalog.Goroutines,
					int64(v.Uint64()),
					option,
				) //nolint:gosec // there cannot be that many goroutines
			}
		}
		if wait.Value.Kind() == metrics.KindFloat64 {
			o.Float(to, catalog.LockWaitTime, wait.Value.Float64())
		}
		return nil
	}, o.All...)
	return err
}
