// Package conventions reports pools under OpenTelemetry's semantic-convention metric names.
package conventions

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// DB returns an option for a database connection pool called name. It reports the pool under
// OpenTelemetry's semantic-convention metric names as well.
func DB(name string) instrument.Option {
	pool := semconv.DBClientConnectionPoolName(name)
	base := attribute.NewSet(pool)
	used := attribute.NewSet(pool, semconv.DBClientConnectionStateUsed)
	idle := attribute.NewSet(pool, semconv.DBClientConnectionStateIdle)
	return instrument.Follow(instrument.Convention{
		Rows: catalog.DBClient,
		Points: func(s *instrument.Stats, add func(*catalog.Metric, attribute.Set, instrument.Point)) {
			count := func(m *catalog.Metric, a attribute.Set, n instrument.Optional[int64]) {
				if n, ok := n.Get(); ok {
					add(m, a, instrument.Point{Int: n})
				}
			}
			durations := func(m *catalog.Metric, h *instrument.Histogram) {
				if h != nil {
					add(m, base, instrument.Point{Histogram: h})
				}
			}
			count(catalog.DBConnectionCount, used, s.Usage[instrument.Used])
			count(catalog.DBConnectionCount, idle, s.Usage[instrument.Idle])
			count(catalog.DBConnectionMax, base, s.Limit)
			count(catalog.DBConnectionPending, base, s.Pending)
			count(catalog.DBConnectionTimeouts, base, s.Requests[instrument.TimedOut])
			for _, c := range s.Create {
				if c.ErrorType == "" {
					durations(catalog.DBConnectionCreateTime, c.Duration)
				}
			}
			durations(catalog.DBConnectionWaitTime, s.Wait[instrument.Acquired])
			durations(catalog.DBConnectionUseTime, s.Use)
		},
	})
}
