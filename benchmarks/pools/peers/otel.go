package peers

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
)

// otelWorkers is our pool without its own telemetry, but with synchronous OpenTelemetry
// instruments, as programs usually add them. Attribute sets are built once.
type otelWorkers struct {
	pool      Workers
	provider  *sdkmetric.MeterProvider
	pending   metric.Int64UpDownCounter
	used      metric.Int64UpDownCounter
	requests  metric.Int64Counter
	completed metric.Int64Counter
	wait      metric.Float64Histogram
	use       metric.Float64Histogram
	useTime   metric.Float64Counter
	plain     metric.MeasurementOption
	acquired  metric.MeasurementOption
	ok        metric.MeasurementOption
	failed    metric.MeasurementOption
}

// OurOTel creates our pool with synchronous instruments.
func OurOTel(n int) Workers {
	w := &otelWorkers{pool: Ours(instrument.WithoutTelemetry())(n)}
	w.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	m := w.provider.Meter("peer")
	var errs [7]error
	w.pending, errs[0] = m.Int64UpDownCounter("pending")
	w.used, errs[1] = m.Int64UpDownCounter("usage")
	w.requests, errs[2] = m.Int64Counter("requests")
	w.completed, errs[3] = m.Int64Counter("completed")
	w.wait, errs[4] = m.Float64Histogram("wait.duration")
	w.use, errs[5] = m.Float64Histogram("use.duration")
	w.useTime, errs[6] = m.Float64Counter("use.time")
	for _, err := range errs {
		must(err)
	}
	set := func(outcome string) metric.MeasurementOption {
		return metric.WithAttributeSet(
			attribute.NewSet(attribute.String("pool.name", "ours"), attribute.String("outcome", outcome)),
		)
	}
	w.plain, w.acquired, w.ok, w.failed = set(""), set("acquired"), set("ok"), set("error")
	return Workers{w.submit, w.stop}
}

func (w *otelWorkers) submit(t Task) {
	ctx := context.Background()
	asked := time.Now()
	w.pending.Add(ctx, 1, w.plain)
	w.pool.Submit(Task{Context: func(task context.Context) error {
		start := time.Now()
		w.pending.Add(ctx, -1, w.plain)
		w.used.Add(ctx, 1, w.plain)
		w.requests.Add(ctx, 1, w.acquired)
		w.wait.Record(ctx, start.Sub(asked).Seconds(), w.acquired)
		err := t.Context(task)
		took := time.Since(start).Seconds()
		w.use.Record(ctx, took, w.plain)
		w.useTime.Add(ctx, took, w.plain)
		w.used.Add(ctx, -1, w.plain)
		if err != nil {
			w.completed.Add(ctx, 1, w.failed)
		} else {
			w.completed.Add(ctx, 1, w.ok)
		}
		return err
	}})
}

func (w *otelWorkers) stop() {
	w.pool.Stop()
	must(w.provider.Shutdown(context.Background()))
}
