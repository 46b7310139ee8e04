// Package producer hands all pools of a process to a reader of the OpenTelemetry SDK.
//
//	p := producer.New()
//	defer p.Close()
//	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(p))
//	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
//
// This is the full way to report pools: with exponential histograms, and at no cost between
// collections. A collection takes 7 to 15 µs a pool. What applies to the instruments of the SDK
// does not apply to a Producer: its points are cumulative whatever temporality the reader prefers,
// views, cardinality limits and the default aggregation do not see them. The resource is the reader's.
//
// Exemplars are the holders of a pool, on the age of its oldest use, and the longest wait of each
// outcome in about the last minute that was part of a sampled trace, on the durations of waits. The
// filter of a MeterProvider does not reach a Producer, so OTEL_METRICS_EXEMPLAR_FILTER=always_off is
// what turns the waits off.
//
// For
// explicit buckets or delta temporality leave the Producer out: pools then report through the
// MeterProvider; see package instrument.
//
// The package is apart from instrument because it needs the SDK.
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

// Producer is a metric.Producer of the pools of the process. It may be given to several readers,
// and should be given to every reader of the process: a reader without it gets no pools. It starts
// no goroutine.
type Producer struct {
	pools *instrument.Reader

	verdicts *verdicts // nil if there shall be none
	waits    bool      // are exemplars

	mu    sync.Mutex
	sizes map[*catalog.Metric]int // points of the last collection
}

// Option changes what a [Producer] reports.
type Option func(*Producer)

// WithoutVerdicts leaves out poolgauge.pool.verdict, which has a series for each verdict that a
// pool ever had, and poolgauge.pool.limit.recommended.
func WithoutVerdicts() Option {
	return func(p *Producer) { p.verdicts = nil }
}

// New returns a Producer. From now on, and until it is closed, pools are reported only through it.
// It judges each pool at a collection once in nine seconds or more; see package diagnose.
func New(opts ...Option) *Producer {
	p := &Producer{
		pools:    instrument.OpenReader(),
		sizes:    map[*catalog.Metric]int{},
		verdicts: &verdicts{pools: map[attribute.Distinct]*judged{}},
		waits:    !strings.EqualFold(os.Getenv("OTEL_METRICS_EXEMPLAR_FILTER"), "always_off"),
	}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// Close gives the pools back to their MeterProviders, and produces nothing from then on. Shut the
// reader down first: it flushes. Further calls do nothing.
func (p *Producer) Close() {
	p.pools.Close()
}

// Produce implements metric.Producer. It never returns an error, which would cost the reader all
// metrics of this collection: a pool that cannot be read is left out and reported to otel.Handle.
func (p *Producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	now := time.Now()
	rows := make(map[*catalog.Metric]row, len(catalog.Pool.Metrics))
	var judge instrument.Judge
	if p.verdicts != nil {
		judge = p.verdicts.begin(now)
	}
	for point := range p.pools.PointsWithVerdicts(judge) {
		if !p.waits {
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
			p.remember(m, r.size())
			metrics = append(
				metrics,
				metricdata.Metrics{Name: m.Name, Description: m.Help, Unit: m.Unit, Data: r.data()},
			)
		}
	})
	return []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: instrument.ScopeName}, Metrics: metrics}}, nil
}

// lastSize and remember spare a collection the growing of its slices: it has about as many points
// as the one before.
func (p *Producer) lastSize(m *catalog.Metric) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sizes[m]
}

func (p *Producer) remember(m *catalog.Metric, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[m] = size
}
