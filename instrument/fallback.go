package instrument

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// maxReplay is the maximum number of durations that one series records through the metric API per
// collection. Recording one takes about 0.2 µs.
const maxReplay = 1 << 13

// apis holds the fallbacks through which pools are reported while no Reader is open.
var apis providers

// providers holds one fallback for each MeterProvider that has pools. It also keeps the last
// fallback when no pools are left, so that a program whose pools come and go reuses it.
type providers struct {
	mu  sync.Mutex // never taken by a callback; live.mu may be taken with it held
	all []*fallback
}

// fallback reports the pools of one MeterProvider through the metric API. It does nothing between
// collections. The API does not accept whole histograms, so each collection records, one by one,
// the durations that are new since the last collection. Each duration is recorded as the middle of
// its bucket, which is within 9 % of the measured duration. If a series has more than maxReplay new
// durations, a sample is recorded.
type fallback struct {
	provider     metric.MeterProvider
	pools        int // guarded by providers.mu
	observables  *instruments.Observables
	histograms   map[*catalog.Metric]metric.Float64Histogram
	conventions  []*catalog.Group // groups whose instruments have been created
	registration metric.Registration
	ended        ended // guarded by live.mu

	// held during a collection, since a provider may have several readers; guards everything below
	mu       sync.Mutex
	recorded map[*Registration]map[series]*Histogram
	thinned  bool // the sampling has been reported to otel.Handle
}

type series struct {
	metric     *catalog.Metric
	attributes attribute.Distinct
}

// join starts reporting r through its MeterProvider or the global one. The global one may be set
// later, since OpenTelemetry's placeholder forwards the callback.
func (p *providers) join(r *Registration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.left || r.api != nil {
		return nil
	}
	f, err := p.of(r)
	if err != nil {
		return err
	}
	f.pools++
	live.mu.Lock()
	defer live.mu.Unlock()
	r.api = f
	return nil
}

// of returns the fallback for r's MeterProvider, and creates it if there is none. The caller must
// hold p.mu.
func (p *providers) of(r *Registration) (*fallback, error) {
	provider := r.provider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	for _, f := range p.all {
		if same(f.provider, provider) &&
			(r.convention.Rows == nil || slices.Contains(f.conventions, r.convention.Rows)) {
			return f, nil
		}
	}
	p.all = slices.DeleteFunc(p.all, func(f *fallback) bool {
		if f.pools > 0 {
			return false
		}
		if err := f.registration.Unregister(); err != nil {
			otel.Handle(fmt.Errorf("unregistering the callback for pools: %w", err))
		}
		return true
	})
	f, err := newFallback(provider, r.convention.Rows)
	if err == nil {
		p.all = append(p.all, f)
	}
	return f, err
}

// same reports whether a and b are the same provider. Providers that cannot be compared count as
// different.
func same(a, b metric.MeterProvider) bool {
	return reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

// leave permanently undoes join. It is called when the pool is closed.
func (p *providers) leave(r *Registration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.left = true
	if r.api != nil {
		r.api.pools--
	}
}

func newFallback(p metric.MeterProvider, convention *catalog.Group) (*fallback, error) {
	f := &fallback{
		provider:   p,
		histograms: map[*catalog.Metric]metric.Float64Histogram{},
		recorded:   map[*Registration]map[series]*Histogram{},
	}
	meter := p.Meter(ScopeName)
	var observed []*catalog.Metric
	var err error
	rows := catalog.Pool.Metrics
	if convention != nil {
		rows = slices.Concat(rows, convention.Metrics)
		f.conventions = []*catalog.Group{convention}
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

// take returns the pools to report through f, or none while a Reader is open.
func (f *fallback) take() (pools []*Registration) {
	live.mu.Lock()
	defer live.mu.Unlock()
	if len(live.readers) > 0 {
		return nil
	}
	for _, r := range live.pools {
		if r.api == f {
			pools = append(pools, r)
		}
	}
	return f.ended.after(pools)
}

// collect is the callback that the MeterProvider calls at each collection. It never returns an
// error, since that would make the provider drop all other metrics of the collection.
func (f *fallback) collect(ctx context.Context, o metric.Observer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	pools := f.take()
	for _, r := range pools {
		if f.recorded[r] == nil {
			f.recorded[r] = map[series]*Histogram{}
		}
		for _, p := range r.read(nil, nil) {
			f.report(ctx, o, r, p)
		}
	}
	for r := range f.recorded {
		if !slices.Contains(pools, r) {
			delete(f.recorded, r)
		}
	}
	return nil
}

func (f *fallback) report(ctx context.Context, o metric.Observer, r *Registration, p Point) {
	switch attributes := metric.WithAttributeSet(p.Attributes); {
	case p.Histogram != nil:
		f.record(ctx, r, p, attributes)
	case p.Metric.Number == catalog.Int:
		f.observables.Int(o, p.Metric, p.Int, attributes)
	default:
		f.observables.Float(o, p.Metric, p.Float, attributes)
	}
}

// record records the durations that were added to p's histogram since the last collection. The
// caller must hold f.mu.
func (f *fallback) record(ctx context.Context, r *Registration, p Point, attributes metric.RecordOption) {
	instrument := f.histograms[p.Metric]
	if !instrument.Enabled(ctx) {
		return
	}
	key := series{p.Metric, p.Attributes.Equivalent()}
	news := p.Histogram.since(f.recorded[r][key])
	f.recorded[r][key] = p.Histogram
	every := 1 + news.count/maxReplay
	if every > 1 && !f.thinned {
		f.thinned = true
		otel.Handle(
			fmt.Errorf(
				"pool %q: %s: only 1 in %d durations is recorded, because the metric API accepts them only one by one: "+
					"pass the Producer of instrument/producer to the reader",
				r.name,
				p.Metric.Name,
				every,
			),
		)
	}
	opts := []metric.RecordOption{attributes}
	for seconds, n := range news.values(every) {
		for range n {
			instrument.Record(ctx, seconds, opts...)
		}
	}
}
