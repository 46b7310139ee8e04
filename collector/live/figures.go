package live

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// Observe makes every collection of the meter's provider report how much the picture holds, and the
// verdicts on pools and the machine.
func (l *Live) Observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(
		meter,
		catalog.LiveUsage,
		catalog.LiveLimit,
		catalog.LiveSeries,
		catalog.LiveRefused,
		catalog.PoolVerdict,
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
		l.verdicts(func(row *catalog.Metric, verdict fmt.Stringer, holds bool, of ...attribute.KeyValue) {
			var n int64
			if holds {
				n = 1
			}
			observed.Int(
				o,
				row,
				n,
				metric.WithAttributes(append(of[:len(of):len(of)], catalog.VerdictKey.String(verdict.String()))...),
			)
		})
		return nil
	}, observed.All...)
	return err
}
