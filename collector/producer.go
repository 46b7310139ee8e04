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

// Producer is a metric.Producer that reads its sources, one after the other in the given order,
// whenever the OpenTelemetry reader that it is registered with collects. For each source it also
// reports how long the reading took, whether it succeeded, and how many values could not be read.
//
// A counter's start time is the time of boot, or the start time of the container or process that
// the counter is about. Restarting the sidecar therefore does not reset counters. A counter falls
// only when it is reset, and then it gets a new start time.
type Producer struct {
	// of counters; OpenTelemetry requires other sums to be cumulative
	temporality metricdata.Temporality
	sources     []*source

	// guards everything below and the sources: a reader may collect from any goroutine
	mu     sync.Mutex
	now    time.Time // of this collection
	before time.Time // of the previous collection or, before the first one, of the call to NewProducer
	rows   map[*catalog.Metric]*row
	order  []*row // in the order in which they first had a point
}

// row holds the points of a metric, in ints or floats according to the metric's number type.
type row struct {
	metric *catalog.Metric
	ints   []metricdata.DataPoint[int64]
	floats []metricdata.DataPoint[float64]
}

// source holds a Source and the state of the metrics about that Source.
type source struct {
	Named
	self   *Attributes
	errors int64
	causes causes
}

// NewProducer returns a Producer that reads sources. Counters get the given temporality.
func NewProducer(log *slog.Logger, temporality metricdata.Temporality, sources ...Named) *Producer {
	p := &Producer{temporality: temporality, rows: map[*catalog.Metric]*row{}, before: time.Now()}
	started := StartedAt(p.before)
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
	p.before = p.now
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
