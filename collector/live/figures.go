package live

import (
	"context"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// Observe makes every collection of the meter's provider report how much the picture holds.
func (l *Live) Observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(meter, catalog.LiveUsage, catalog.LiveLimit, catalog.LiveSeries, catalog.LiveRefused)
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m := l.Memory()
		observed.Int(o, catalog.LiveUsage, m.Used)
		observed.Int(o, catalog.LiveLimit, m.Limit)
		observed.Int(o, catalog.LiveSeries, m.Series)
		observed.Int(o, catalog.LiveRefused, m.Refused)
		return nil
	}, observed.All...)
	return err
}
