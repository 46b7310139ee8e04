package instrument

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// maxReplay bounds the durations that one series records through the metric API at one collection. A record takes about 0.2 µs.
const maxReplay = 1 << 20

// fallback reports one pool through the metric API, for a provider that has no Producer. Nothing of it runs between collections:
// the API has no way to hand over a histogram, so at each collection the durations that are new since the last one are recorded
// one by one, as the middles of their buckets. Their number and sum are exact, and each is within 9 % of what was measured.
type fallback struct {
	pool         *Registration
	observables  *instruments.Observables
	histograms   map[*catalog.Metric]metric.Float64Histogram
	registration metric.Registration

	mu       sync.Mutex // held during a collection, since a provider may have several readers; guards what follows
	recorded map[series]*Histogram
	thinned  bool // and said so
}

type series struct {
	metric     *catalog.Metric
	attributes attribute.Distinct
}

// newFallback registers the pool with p, or with the global MeterProvider if p is nil. That may be set later: OpenTelemetry's
// stand-in passes the callback on.
func newFallback(p metric.MeterProvider, pool *Registration) (*fallback, error) {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	f := &fallback{
		pool:       pool,
		histograms: map[*catalog.Metric]metric.Float64Histogram{},
		recorded:   map[series]*Histogram{},
	}
	meter := p.Meter(ScopeName)
	var observed []*catalog.Metric
	var err error
	rows := catalog.Pool.Metrics
	if pool.convention.Rows != nil {
		rows = slices.Concat(rows, pool.convention.Rows.Metrics)
	}
	for _, m := range rows {
		if m.Kind != catalog.Histogram {
			observed = append(observed, m)
		} else if f.histograms[m], err = instruments.Histogram(meter, m); err != nil {
			return nil, err
		}
	}
	if f.observables, err = instruments.NewObservables(meter, observed...); err != nil {
		return nil, err
	}
	f.registration, err = meter.RegisterCallback(f.collect, f.observables.All...)
	return f, err
}

func (f *fallback) unregister() error {
	return f.registration.Unregister()
}

// collect is the callback. It never fails, since an error would cost the provider all other metrics of this collection.
func (f *fallback) collect(ctx context.Context, o metric.Observer) error {
	if hasReader() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pool.read(nil) {
		switch attributes := metric.WithAttributeSet(p.Attributes); {
		case p.Histogram != nil:
			f.record(ctx, p, attributes)
		case p.Metric.Number == catalog.Int:
			f.observables.Int(o, p.Metric, p.Int, attributes)
		default:
			f.observables.Float(o, p.Metric, p.Float, attributes)
		}
	}
	return nil
}

// record hands over what p has more than at the last collection. Caller must hold f.mu.
func (f *fallback) record(ctx context.Context, p Point, attributes metric.RecordOption) {
	instrument := f.histograms[p.Metric]
	if !instrument.Enabled(ctx) {
		return
	}
	key := series{p.Metric, p.Attributes.Equivalent()}
	news := p.Histogram.since(f.recorded[key])
	f.recorded[key] = p.Histogram
	every := 1 + news.count/maxReplay
	if every > 1 && !f.thinned {
		f.thinned = true
		otel.Handle(fmt.Errorf("pool %q: %s: only 1 of %d durations is recorded, since the metric API takes them one by one: "+
			"give instrument/producer to the reader", f.pool.name, p.Metric.Name, every))
	}
	opts := []metric.RecordOption{attributes}
	for seconds, n := range news.values(every) {
		for range n {
			instrument.Record(ctx, seconds, opts...)
		}
	}
}
