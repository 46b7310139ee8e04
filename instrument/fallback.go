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

// maxReplay limits the number of durations that one series records through the metric API per
// collection. Recording one takes about 0.2 µs.
const maxReplay = 1 << 13

// fallbacks reports pools while no Reader is open.
var fallbacks fallbackSet

// fallbackSet holds one fallback for each MeterProvider that has pools. A fallback without pools is
// kept until another one is created, so that a program that repeatedly opens and closes pools
// reuses it.
type fallbackSet struct {
	mu  sync.Mutex // never locked by a callback; live.mu may be locked while mu is held
	all []*fallback
}

// fallback reports the pools of one MeterProvider through the metric API. It does nothing between
// collections. The API does not accept histograms, so each collection records the durations that
// are new since the previous collection, one at a time. Each duration is recorded as the midpoint
// of its bucket, scaled so that the sum is preserved. The recorded value is within 9% of the
// measured duration. If a series has more than maxReplay new durations, only a sample of them is
// recorded.
type fallback struct {
	provider     metric.MeterProvider
	pools        int // number of attached pools; guarded by fallbackSet.mu
	observables  *instruments.Observables
	histograms   map[*catalog.Metric]metric.Float64Histogram
	conventions  []*catalog.Group // groups whose instruments have been created
	registration metric.Registration
	ended        ended // guarded by live.mu

	// held during a collection, since a provider may have several readers; guards everything below
	mu               sync.Mutex
	recorded         map[*Registration]map[series]*Histogram // what has been recorded so far
	samplingReported bool                                    // otel.Handle has been told that durations are sampled
}

// series identifies a series of one pool.
type series struct {
	metric     *catalog.Metric
	attributes attribute.Distinct
}

// attach starts reporting r through its MeterProvider or, if it has none, the global one. The
// global MeterProvider may be set later, since OpenTelemetry's placeholder forwards the callback to
// it.
func (p *fallbackSet) attach(r *Registration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.detached || r.fallback != nil {
		return nil
	}
	f, err := p.fallbackFor(r)
	if err != nil {
		return err
	}
	f.pools++
	live.mu.Lock()
	defer live.mu.Unlock()
	r.fallback = f
	return nil
}

// fallbackFor returns the fallback for r's MeterProvider, creating it if necessary. The caller must
// hold p.mu.
func (p *fallbackSet) fallbackFor(r *Registration) (*fallback, error) {
	provider := r.provider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	for _, f := range p.all {
		if sameProvider(f.provider, provider) &&
			(r.convention.Rows == nil || slices.Contains(f.conventions, r.convention.Rows)) {
			return f, nil
		}
	}
	p.all = slices.DeleteFunc(p.all, func(f *fallback) bool {
		if f.pools > 0 {
			return false
		}
		if err := f.registration.Unregister(); err != nil {
			otel.Handle(fmt.Errorf("unregistering the metric callback for pools: %w", err))
		}
		return true
	})
	f, err := newFallback(provider, r.convention.Rows)
	if err == nil {
		p.all = append(p.all, f)
	}
	return f, err
}

// sameProvider reports whether a and b are the same provider. Providers of types that are not
// comparable count as different.
func sameProvider(a, b metric.MeterProvider) bool {
	return reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

// detach permanently undoes attach: r cannot be attached again. It is called when the pool is
// closed.
func (p *fallbackSet) detach(r *Registration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.detached = true
	if r.fallback != nil {
		r.fallback.pools--
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

// poolsToReport returns the pools to report through f, or none while a Reader is open.
func (f *fallback) poolsToReport() (pools []*Registration) {
	live.mu.Lock()
	defer live.mu.Unlock()
	if len(live.readers) > 0 {
		return nil
	}
	for _, r := range live.pools {
		if r.fallback == f {
			pools = append(pools, r)
		}
	}
	return f.ended.appendTo(pools)
}

// collect is the callback that the MeterProvider calls at each collection. It never returns an
// error, because an error would make the provider drop all other metrics of the collection.
func (f *fallback) collect(ctx context.Context, o metric.Observer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	pools := f.poolsToReport()
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

// report reports one point of r. The caller must hold f.mu.
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

// record records the durations that were added to p's histogram since the previous collection. The
// caller must hold f.mu.
func (f *fallback) record(ctx context.Context, r *Registration, p Point, attributes metric.RecordOption) {
	instrument := f.histograms[p.Metric]
	if !instrument.Enabled(ctx) {
		return
	}
	key := series{p.Metric, p.Attributes.Equivalent()}
	added := p.Histogram.since(f.recorded[r][key])
	f.recorded[r][key] = p.Histogram
	stride := max(1, (added.count+maxReplay-1)/maxReplay)
	if stride > 1 && !f.samplingReported {
		f.samplingReported = true
		otel.Handle(
			fmt.Errorf(
				"pool %q: %s: only 1 in %d new durations is recorded, since the metric API accepts one at a time; "+
					"to report all of them, pass the Producer of instrument/producer to the reader",
				r.name,
				p.Metric.Name,
				stride,
			),
		)
	}
	opts := []metric.RecordOption{attributes}
	for seconds, n := range added.values(stride) {
		for range n {
			instrument.Record(ctx, seconds, opts...)
		}
	}
}
