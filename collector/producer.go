package collector

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// scopeName is the instrumentation scope of all points produced by sources.
const scopeName = "github.com/poolgauge/poolgauge/collector"

// Producer is a metric.Producer that reads its sources, one after the other and in order, whenever
// the OpenTelemetry reader that it is registered with collects. For each source it also reports how
// long reading took, whether it succeeded, and how many values could not be read.
//
// Most counters start when the machine booted, or when the container or process that they are about
// started, so restarting the sidecar does not reset them. A counter decreases only when it is
// reset, and then gets a new start time.
type Producer struct {
	// for counters; OpenTelemetry requires other sums to be cumulative
	temporality metricdata.Temporality
	sources     []*source

	// guards everything below and the sources: a reader may collect from any goroutine
	mu       sync.Mutex
	now      time.Time // time of this collection
	previous time.Time // time of the previous collection; initially, of the call to NewProducer
	rows     map[*catalog.Metric]*row
	order    []*row // in the order in which they first had a point
}

// row holds the points of a metric in the current collection. They are in ints or floats, depending
// on the metric's number type.
type row struct {
	metric *catalog.Metric
	ints   []metricdata.DataPoint[int64]
	floats []metricdata.DataPoint[float64]
}

// source is a Source together with the state of the metrics about it.
type source struct {
	Named
	self   *Attributes
	errors int64
	causes causes
}

// NewProducer returns a Producer that reads sources and logs their errors to log. Counters have the
// given temporality.
func NewProducer(log *slog.Logger, temporality metricdata.Temporality, sources ...Named) *Producer {
	p := &Producer{temporality: temporality, rows: map[*catalog.Metric]*row{}, previous: time.Now()}
	started := StartedAt(p.previous)
	for _, s := range sources {
		self := NewAttributes(started, catalog.SourceKey.String(s.Name))
		p.sources = append(p.sources, &source{Named: s, self: self, causes: newCauses(log, s.Name)})
	}
	return p
}

// Produce implements metric.Producer. It never returns an error, since the OpenTelemetry reader
// would then drop all metrics of the collection.
func (p *Producer) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = time.Now()
	for _, src := range p.sources {
		p.read(ctx, src)
	}
	p.previous = p.now
	metrics := make([]metricdata.Metrics, 0, len(p.order))
	for _, r := range p.order {
		if data := r.take(p.temporality); data != nil {
			metrics = append(metrics, metricdata.Metrics{
				Name: r.metric.Name, Description: r.metric.Help, Unit: r.metric.Unit, Data: data,
			})
		}
	}
	return []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: scopeName}, Metrics: metrics}}, nil
}

func (p *Producer) read(ctx context.Context, src *source) {
	s := &Sample{to: p}
	begin := time.Now()
	src.Source.Collect(ctx, s)
	s.Float(catalog.SourceDuration, time.Since(begin).Seconds(), src.self)
	success := int64(1)
	if len(s.errs) > 0 {
		success = 0
	}
	s.Int(catalog.SourceSuccess, success, src.self)
	src.errors += int64(len(s.errs))
	s.Int(catalog.SourceErrors, src.errors, src.self)
	src.causes.report(p.now, s.errs, s.notes)
}

func (p *Producer) row(m *catalog.Metric) *row {
	r := p.rows[m]
	if r == nil {
		r = &row{metric: m}
		p.rows[m] = r
		p.order = append(p.order, r)
	}
	return r
}

// take returns the points of this collection, or nil if there are none, and removes them from r.
// The caller may keep them.
func (r *row) take(temporality metricdata.Temporality) metricdata.Aggregation {
	if r.metric.Kind == catalog.UpDownCounter {
		temporality = metricdata.CumulativeTemporality
	}
	monotonic := r.metric.Kind == catalog.Counter
	if r.metric.Number == catalog.Int {
		points := r.ints
		r.ints = make([]metricdata.DataPoint[int64], 0, len(points))
		return aggregation(r.metric, points, temporality, monotonic)
	}
	points := r.floats
	r.floats = make([]metricdata.DataPoint[float64], 0, len(points))
	return aggregation(r.metric, points, temporality, monotonic)
}

func aggregation[N int64 | float64](
	m *catalog.Metric, points []metricdata.DataPoint[N], temporality metricdata.Temporality, monotonic bool,
) metricdata.Aggregation {
	switch {
	case len(points) == 0:
		return nil
	case m.Kind == catalog.Gauge:
		return metricdata.Gauge[N]{DataPoints: points}
	}
	return metricdata.Sum[N]{DataPoints: points, Temporality: temporality, IsMonotonic: monotonic}
}
