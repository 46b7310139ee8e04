package instrument

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// maxReplay bounds the durations that one series records through the metric API at one collection. A record takes about 0.2 µs.
const maxReplay = 1 << 20

// boundaries are the buckets that a provider uses for durations unless it was told otherwise, in seconds. OpenTelemetry's default
// is made for milliseconds.
var boundaries = metric.WithExplicitBucketBoundaries(
	0, 1e-6, 1e-5, 1e-4, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)

// fallback reports one pool through the metric API, for a provider that has no Producer. Nothing of it runs between collections:
// the API has no way to hand over a histogram, so at each collection the durations that are new since the last one are recorded
// one by one, as the middles of their buckets. Their number and sum are exact, and each is within 9 % of what was measured.
type fallback struct {
	pool         *Registration
	ints         map[*catalog.Metric]metric.Int64Observable
	floats       map[*catalog.Metric]metric.Float64Observable
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
		ints:       map[*catalog.Metric]metric.Int64Observable{},
		floats:     map[*catalog.Metric]metric.Float64Observable{},
		histograms: map[*catalog.Metric]metric.Float64Histogram{},
		recorded:   map[series]*Histogram{},
	}
	meter := p.Meter(ScopeName)
	var observables []metric.Observable
	var errs []error
	for _, m := range catalog.Pool.Metrics {
		o, err := f.add(meter, m)
		if o != nil {
			observables = append(observables, o)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var err error
	f.registration, err = meter.RegisterCallback(f.collect, observables...)
	return f, err
}

// add makes the instrument of a row, and returns it if it is an observable one.
func (f *fallback) add(meter metric.Meter, m *catalog.Metric) (o metric.Observable, err error) {
	unit, help := metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
	switch {
	case m.Kind == catalog.Histogram:
		f.histograms[m], err = meter.Float64Histogram(m.Name, unit, help, boundaries)
		return nil, err
	case m.Kind == catalog.Counter && m.Number == catalog.Int:
		f.ints[m], err = meter.Int64ObservableCounter(m.Name, unit, help)
		return f.ints[m], err
	case m.Kind == catalog.UpDownCounter && m.Number == catalog.Int:
		f.ints[m], err = meter.Int64ObservableUpDownCounter(m.Name, unit, help)
		return f.ints[m], err
	case m.Kind == catalog.Counter:
		f.floats[m], err = meter.Float64ObservableCounter(m.Name, unit, help)
		return f.floats[m], err
	case m.Kind == catalog.Gauge && m.Number == catalog.Float:
		f.floats[m], err = meter.Float64ObservableGauge(m.Name, unit, help)
		return f.floats[m], err
	}
	return nil, fmt.Errorf("instrument %s: no pool has a %v like it", m.Name, m.Kind)
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
	for _, p := range f.pool.read() {
		switch attributes := metric.WithAttributeSet(p.Attributes); {
		case p.Histogram != nil:
			f.record(ctx, p, attributes)
		case p.Metric.Number == catalog.Int:
			o.ObserveInt64(f.ints[p.Metric], p.Int, attributes)
		default:
			o.ObserveFloat64(f.floats[p.Metric], p.Float, attributes)
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
