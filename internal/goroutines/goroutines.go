// Package goroutines reports the goroutines of the process by state, as the Go runtime counts them since 1.26. Many that are
// runnable and not running want more CPUs, and many that wait want whatever they wait for.
package goroutines

import (
	"context"
	"runtime/metrics"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// states are the values of [catalog.GoroutineStateKey], and where the runtime keeps the count.
var states = [...]struct{ state, name string }{
	{"running", "/sched/goroutines/running:goroutines"},
	{"runnable", "/sched/goroutines/runnable:goroutines"},
	{"waiting", "/sched/goroutines/waiting:goroutines"},
	{"not_in_go", "/sched/goroutines/not-in-go:goroutines"},
}

// Start makes every collection of the meter's readers count the goroutines, which takes a few µs.
func Start(meter metric.Meter) error {
	m := catalog.Goroutines
	var options [len(states)]metric.MeasurementOption
	for i, s := range states {
		options[i] = metric.WithAttributes(catalog.GoroutineStateKey.String(s.state))
	}
	_, err := meter.Int64ObservableUpDownCounter(
		m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			var samples [len(states)]metrics.Sample
			for i, s := range states {
				samples[i].Name = s.name
			}
			metrics.Read(samples[:])
			for i, s := range samples {
				if s.Value.Kind() == metrics.KindUint64 {
					o.Observe(int64(s.Value.Uint64()), options[i]) //nolint:gosec // so many goroutines there cannot be
				}
			}
			return nil
		}),
	)
	return err
}
