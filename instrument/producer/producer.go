// Package producer passes the metrics of all pools in a process to a reader of the OpenTelemetry
// SDK.
//
//	p := producer.New()
//	defer p.Close()
//	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(p))
//	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
//
// This is the most complete way to report pools: with exponential histograms, and at no cost
// between collections. A collection takes 7 to 15 µs per pool. Settings for the SDK's instruments
// do not apply to a Producer: its points are cumulative, whatever temporality the reader prefers,
// and views, cardinality limits and the default aggregation do not affect them. The points have the
// reader's resource. For explicit buckets or delta temporality, omit the Producer: pools are then
// reported through the MeterProvider; see package instrument.
//
// A Producer adds two kinds of exemplars. The age of the oldest use has the pool's holders as
// exemplars. The durations of waits have, for each outcome, the longest wait that ended in about
// the last minute and was part of a sampled trace. A MeterProvider's exemplar filter does not apply
// to a Producer; set OTEL_METRICS_EXEMPLAR_FILTER=always_off to omit the exemplars of waits.
//
// The package is separate from instrument because it needs the SDK.
package producer

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Producer is a metric.Producer for the pools of the process. Pass one Producer to every reader of
// the process: a reader without the Producer gets no pool metrics. A Producer starts no goroutine.
type Producer struct {
	pools *instrument.Reader

	verdicts      *verdicts // nil if disabled
	waitExemplars bool      // add exemplars to the durations of waits

	mu    sync.Mutex
	sizes map[*catalog.Metric]int // number of points at the last collection
}

// Option configures a [Producer].
type Option func(*Producer)

// WithoutVerdicts omits poolgauge.pool.verdict, which has one series for each verdict that a pool
// has ever had, and poolgauge.pool.limit.recommended.
func WithoutVerdicts() Option {
	return func(p *Producer) { p.verdicts = nil }
}

// New returns a Producer. Until it is closed, pools are reported only through Producers. A
// collection also judges the pools, unless the Producer did so less than nine seconds before; see
// package diagnose.
func New(opts ...Option) *Producer {
	p := &Producer{
		pools:         instrument.OpenReader(),
		sizes:         map[*catalog.Metric]int{},
		verdicts:      &verdicts{pools: map[attribute.Distinct]*judgedPool{}},
		waitExemplars: !strings.EqualFold(os.Getenv("OTEL_METRICS_EXEMPLAR_FILTER"), "always_off"),
	}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// Close closes the Producer, which then produces nothing. Pools are reported through their
// MeterProviders again. Shut down the reader before closing the Producer, so that the reader's last
// export contains the pools. Further calls do nothing.
func (p *Producer) Close() {
	p.pools.Close()
}

// Produce implements metric.Producer. It never returns an error, because an error would make the
// reader drop all metrics of the collection. A pool that cannot be read is omitted and reported to
// otel.Handle.
func (p *Producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	now := time.Now()
	rows := make(map[*catalog.Metric]row, len(catalog.Pool.Metrics))
	var judge instrument.Judge
	if p.verdicts != nil {
		judge = p.verdicts.begin(now)
	}
	for point := range p.pools.PointsWithVerdicts(judge) {
		if !p.waitExemplars {
			point.Exemplars = nil
		}
		r, known := rows[point.Metric]
		if !known {
			r = newRow(point.Metric, p.lastSize(point.Metric))
			rows[point.Metric] = r
		}
		r.add(point, now)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	metrics := make([]metricdata.Metrics, 0, len(rows))
	catalog.Each(func(_ *catalog.Group, m *catalog.Metric) {
		if r, known := rows[m]; known {
			p.setLastSize(m, r.size())
			metrics = append(
				metrics,
				metricdata.Metrics{Name: m.Name, Description: m.Help, Unit: m.Unit, Data: r.data()},
			)
		}
	})
	return []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: instrument.ScopeName}, Metrics: metrics}}, nil
}

// lastSize returns the number of points of m at the previous collection. A collection allocates its
// slices with this capacity, so that they need not grow.
func (p *Producer) lastSize(m *catalog.Metric) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sizes[m]
}

func (p *Producer) setLastSize(m *catalog.Metric, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[m] = size
}
