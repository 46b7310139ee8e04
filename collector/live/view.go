package live

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// view answers questions about one collection and the one before it, by rows of the catalogue. Sums
// are cumulative.
type view struct {
	now, before collection
	elapsed     time.Duration // between the two; 0 if there is no collection before
}

// collection is the metrics of one, by name. Most are never asked for: the points of one are made
// when it first is.
type collection struct {
	data   map[string]metricdata.Aggregation
	points map[string][]point
}

func newCollection(rm *metricdata.ResourceMetrics) collection {
	c := collection{data: map[string]metricdata.Aggregation{}, points: map[string][]point{}}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if c.data[m.Name] != nil { // of two scopes
				c.points[m.Name] = append(c.of(m.Name), pointsOf(m.Data)...)
			}
			c.data[m.Name] = m.Data
		}
	}
	return c
}

// of returns the points of a metric.
func (c collection) of(name string) []point {
	points, made := c.points[name]
	if data := c.data[name]; !made && data != nil {
		points = pointsOf(data)
		c.points[name] = points
	}
	return points
}

// point is a point of any aggregation: value holds a sum or gauge, or the sum of a distribution of
// count values.
type point struct {
	attrs attribute.Set
	value float64
	count uint64
	at    time.Time
}

func (v *view) advance(rm *metricdata.ResourceMetrics) {
	v.before, v.now = v.now, newCollection(rm)
	v.addUp(rm)
	v.elapsed = 0
	if now, before := v.now.at(), v.before.at(); !before.IsZero() {
		v.elapsed = now.Sub(before)
	}
}

// addUp makes cumulative what is not, where an upstream prefers deltas.
func (v *view) addUp(rm *metricdata.ResourceMetrics) {
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if !isDelta(m.Data) {
				continue
			}
			before := map[attribute.Distinct]point{}
			for _, p := range v.before.of(m.Name) {
				before[p.attrs.Equivalent()] = p
			}
			now := v.now.of(m.Name)
			for i := range now {
				past := before[now[i].attrs.Equivalent()]
				now[i].value += past.value
				now[i].count += past.count
				delete(before, now[i].attrs.Equivalent())
			}
			for _, p := range before {
				now = append(now, p) // which has not grown
			}
			v.now.points[m.Name] = now
		}
	}
}

func isDelta(data metricdata.Aggregation) bool {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		return d.Temporality == metricdata.DeltaTemporality
	case metricdata.Sum[float64]:
		return d.Temporality == metricdata.DeltaTemporality
	case metricdata.ExponentialHistogram[float64]:
		return d.Temporality == metricdata.DeltaTemporality
	case metricdata.Histogram[float64]:
		return d.Temporality == metricdata.DeltaTemporality
	}
	return false
}

// value returns the sum of the points that have all the attributes given, of which one without a
// value must be absent; ok is false if there are none.
func (v *view) value(m *catalog.Metric, with ...attribute.KeyValue) (sum float64, ok bool) {
	p, ok := total(v.now.of(m.Name), with)
	return p.value, ok
}

// rate returns the growth per second of what value returns.
func (v *view) rate(m *catalog.Metric, with ...attribute.KeyValue) (perSecond float64, ok bool) {
	growth, ok := v.growth(m, with...)
	return growth.value / v.elapsed.Seconds(), ok
}

// gained returns the growth of what value returns since the collection before, in which it may have
// been absent; ok is false without one, and when the sum went back.
func (v *view) gained(m *catalog.Metric, with ...attribute.KeyValue) (n float64, ok bool) {
	now, ok := total(v.now.of(m.Name), with)
	before, _ := total(v.before.of(m.Name), with)
	return now.value - before.value, ok && v.elapsed > 0 && now.value >= before.value
}

// mean returns the mean of the values that a distribution got since the collection before; ok is
// false if it got none.
func (v *view) mean(m *catalog.Metric, with ...attribute.KeyValue) (mean float64, ok bool) {
	growth, _ := v.growth(m, with...)
	if growth.count == 0 {
		now, _ := total(v.now.of(m.Name), with)
		if v.elapsed > 0 || now.count == 0 {
			return math.NaN(), false
		}
		growth = now
	}
	return growth.value / float64(growth.count), true
}

// grew reports whether what value returns is more than in the collection before, in which it may
// have been absent.
func (v *view) grew(m *catalog.Metric, with ...attribute.KeyValue) bool {
	now, _ := total(v.now.of(m.Name), with)
	before, _ := total(v.before.of(m.Name), with)
	return now.value > before.value
}

func (v *view) growth(m *catalog.Metric, with ...attribute.KeyValue) (point, bool) {
	now, ok := total(v.now.of(m.Name), with)
	if !ok || v.elapsed <= 0 {
		return point{}, false
	}
	// A distribution that is new has grown from nothing; a sum that is new has a past that is not
	// ours.
	before, had := total(v.before.of(m.Name), with)
	if !had && m.Kind != catalog.Histogram || now.value < before.value {
		return point{}, false
	}
	return point{value: now.value - before.value, count: now.count - before.count}, true
}

// each calls f with every value of key that the points of m have.
func (v *view) each(m *catalog.Metric, key attribute.Key, f func(attribute.KeyValue)) {
	seen := map[attribute.Value]bool{}
	for _, p := range v.now.of(m.Name) {
		if value, ok := p.attrs.Value(key); ok && !seen[value] {
			seen[value] = true
			f(attribute.KeyValue{Key: key, Value: value})
		}
	}
}

func total(points []point, with []attribute.KeyValue) (sum point, ok bool) {
	for _, p := range points {
		if has(p.attrs, with) {
			sum.value += p.value
			sum.count += p.count
			ok = true
		}
	}
	return sum, ok
}

func has(set attribute.Set, with []attribute.KeyValue) bool {
	for _, kv := range with {
		if value, _ := set.Value(kv.Key); value != kv.Value { // the zero value, if it is absent
			return false
		}
	}
	return true
}

// at returns when it was made, the zero time if there is none.
func (c collection) at() (at time.Time) {
	for _, p := range c.of(catalog.SourceDuration.Name) {
		if p.at.After(at) {
			at = p.at
		}
	}
	return at
}

func pointsOf(data metricdata.Aggregation) []point {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		return plain(d.DataPoints)
	case metricdata.Gauge[float64]:
		return plain(d.DataPoints)
	case metricdata.Sum[int64]:
		return plain(d.DataPoints)
	case metricdata.Sum[float64]:
		return plain(d.DataPoints)
	case metricdata.ExponentialHistogram[float64]:
		points := make([]point, len(d.DataPoints))
		for i, p := range d.DataPoints {
			points[i] = point{attrs: p.Attributes, value: p.Sum, count: p.Count, at: p.Time}
		}
		return points
	case metricdata.Histogram[float64]:
		points := make([]point, len(d.DataPoints))
		for i, p := range d.DataPoints {
			points[i] = point{attrs: p.Attributes, value: p.Sum, count: p.Count, at: p.Time}
		}
		return points
	default:
		return nil
	}
}

func plain[N int64 | float64](in []metricdata.DataPoint[N]) []point {
	points := make([]point, len(in))
	for i, p := range in {
		points[i] = point{attrs: p.Attributes, value: float64(p.Value), at: p.Time}
	}
	return points
}
