package live

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// Observe registers the metrics of l with meter: the size of the picture, the verdicts on pools and
// the machine, and the recommended limits of pools.
func (l *Live) Observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(
		meter,
		catalog.LiveUsage,
		catalog.LiveLimit,
		catalog.LiveSeries,
		catalog.LiveRefused,
		catalog.PoolVerdict,
		catalog.PoolLimitRecommended,
		catalog.HostVerdict,
	)
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m := l.Memory()
		observed.Int(o, catalog.LiveUsage, m.Used)
		observed.Int(o, catalog.LiveLimit, m.Limit)
		observed.Int(o, catalog.LiveSeries, m.Series)
		observed.Int(o, catalog.LiveRefused, m.Refused)
		l.verdicts(func(row *catalog.Metric, n int64, of ...attribute.KeyValue) {
			observed.Int(o, row, n, metric.WithAttributes(of...))
		})
		return nil
	}, observed.All...)
	return err
}
