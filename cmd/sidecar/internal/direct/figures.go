package direct

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// figures are what the exporter says of itself.
type figures struct {
	durations metric.Float64Histogram
}

// newFigures makes the instruments; read is called at every collection.
func newFigures(meter metric.Meter, read func() account) (*figures, error) {
	f := &figures{}
	var err error
	if f.durations, err = instruments.Histogram(meter, catalog.ExportDuration); err != nil {
		return nil, err
	}
	observed, err := instruments.NewObservables(meter, catalog.SidecarPoints, catalog.ExportQueued)
	if err != nil {
		return nil, err
	}
	outcome := func(name string) metric.MeasurementOption {
		return metric.WithAttributes(catalog.PointOutcomeKey.String(name))
	}
	sampled, exported, rejected, dropped := outcome("sampled"), outcome("exported"), outcome("rejected"), outcome("dropped")
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		a := read()
		observed.Int(o, catalog.SidecarPoints, a.sampled, sampled)
		observed.Int(o, catalog.SidecarPoints, a.exported, exported)
		observed.Int(o, catalog.SidecarPoints, a.rejected, rejected)
		observed.Int(o, catalog.SidecarPoints, a.dropped, dropped)
		observed.Int(o, catalog.ExportQueued, a.queued)
		return nil
	}, observed.All...)
	return f, err
}

func (f *figures) duration(d time.Duration, err error) {
	if err == nil {
		f.durations.Record(context.Background(), d.Seconds())
		return
	}
	reason := "request"
	if failure := (*export.Failure)(nil); errors.As(err, &failure) {
		reason = failure.Reason
	}
	f.durations.Record(context.Background(), d.Seconds(), metric.WithAttributes(semconv.ErrorTypeKey.String(reason)))
}
