package export

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// figures are what the exporter says of itself.
type figures struct {
	sampled, exported, rejected, dropped atomic.Int64 // points
	inFlight                             atomic.Int64 // points

	durations metric.Float64Histogram
}

// newFigures makes the instruments; queued is asked at every collection.
func newFigures(meter metric.Meter, queued func() int64) (*figures, error) {
	f := &figures{}
	describe := func(m *catalog.Metric) (metric.InstrumentOption, metric.InstrumentOption) {
		return metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
	}
	unit, help := describe(catalog.SidecarPoints)
	points, err1 := meter.Int64ObservableCounter(catalog.SidecarPoints.Name, unit, help)
	unit, help = describe(catalog.ExportQueued)
	waiting, err2 := meter.Int64ObservableUpDownCounter(catalog.ExportQueued.Name, unit, help)
	unit, help = describe(catalog.ExportDuration)
	durations, err3 := meter.Float64Histogram(catalog.ExportDuration.Name, unit, help)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("instruments of the exporter: %w", err)
	}
	f.durations = durations
	outcome := func(name string) metric.MeasurementOption {
		return metric.WithAttributes(catalog.PointOutcomeKey.String(name))
	}
	sampled, exported, rejected, dropped := outcome("sampled"), outcome("exported"), outcome("rejected"), outcome("dropped")
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(points, f.sampled.Load(), sampled)
		o.ObserveInt64(points, f.exported.Load(), exported)
		o.ObserveInt64(points, f.rejected.Load(), rejected)
		o.ObserveInt64(points, f.dropped.Load(), dropped)
		o.ObserveInt64(waiting, queued()+f.inFlight.Load())
		return nil
	}, points, waiting)
	return f, err
}

func (f *figures) duration(d time.Duration, code codes.Code) {
	if code == codes.OK {
		f.durations.Record(context.Background(), d.Seconds())
		return
	}
	f.durations.Record(context.Background(), d.Seconds(), metric.WithAttributes(semconv.ErrorTypeKey.String(code.String())))
}
