package live

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// view holds the current collection and the previous one. Its methods compute values of catalog
// metrics from the two. Sums are cumulative.
type view struct {
	now, before collection
	elapsed     time.Duration   // between the two; 0 if there is no previous collection
	deltas      map[string]bool // names of the metrics that have had deltas
}

// collection holds the metrics of one collection by name. Points are converted on first use, since
// most metrics are never used.
type collection struct {
	data   map[string]metricdata.Aggregation
	points map[string][]point
}

func newCollection(rm *metricdata.ResourceMetrics) collection {
	c := collection{data: map[string]metricdata.Aggregation{}, points: map[string][]point{}}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if c.data[m.Name] != nil { // the metric is in two scopes
				c.points[m.Name] = append(c.of(m.Name), pointsOf(m.Data)...)
			}
			c.data[m.Name] = m.Data
		}
	}
	return c
}

// of returns the points of the metric with the given name.
func (c collection) of(name string) []point {
	points, made := c.points[name]
	if data := c.data[name]; !made && data != nil {
		points = pointsOf(data)
		c.points[name] = points
	}
	return points
}

// point is a data point of a gauge, sum or histogram.
type point struct {
	attrs attribute.Set
	value float64 // of the gauge or sum; the sum of a histogram
	count uint64  // of a histogram
	at    time.Time
}

func (v *view) advance(rm *metricdata.ResourceMetrics) {
	v.before, v.now = v.now, newCollection(rm)
	if v.deltas == nil {
		v.deltas = map[string]bool{}
	}
	v.addUp(rm)
	v.elapsed = 0
	if now, before := v.now.at(), v.before.at(); !before.IsZero() {
		v.elapsed = now.Sub(before)
	}
}

// addUp converts the deltas in rm to cumulative values. Collections have deltas if the upstream
// prefers them. A metric without any delta is missing from rm.
func (v *view) addUp(rm *metricdata.ResourceMetrics) {
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if isDelta(m.Data) {
				v.deltas[m.Name] = true
			}
		}
	}
	for name := range v.deltas {
		v.now.points[name] = sumsOf(v.before.of(name), v.now.of(name))
	}
}

// sumsOf returns the sums of earlier points and of deltas, which it modifies. A series without a
// delta is unchanged, or gone.
func sumsOf(earlier, deltas []point) []point {
	before := map[attribute.Distinct]point{}
	for _, p := range earlier {
		before[p.attrs.Equivalent()] = p
	}
	for i := range deltas {
		past := before[deltas[i].attrs.Equivalent()]
		deltas[i].value += past.value
		deltas[i].count += past.count
		delete(before, deltas[i].attrs.Equivalent())
	}
	for _, p := range before {
		if !isTransient(&p.attrs) {
			deltas = append(deltas, p)
		}
	}
	return deltas
}

// isTransient reports whether attrs are of a process or container. Its points are in every
// collection while it exists, so if they are missing, it is gone.
func isTransient(attrs *attribute.Set) bool {
	return attrs.HasValue(semconv.ProcessPIDKey) || attrs.HasValue(semconv.ContainerIDKey) ||
		attrs.HasValue(catalog.CgroupPathKey)
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

// value returns the sum of the points of m that have all of the given attributes. An attribute
// without a value matches only points that lack that attribute. value returns false if no point
// matches.
func (v *view) value(m *catalog.Metric, with ...attribute.KeyValue) (sum float64, ok bool) {
	p, ok := total(v.now.of(m.Name), with)
	return p.value, ok
}

// rate is like value, but returns the increase per second since the previous collection.
func (v *view) rate(m *catalog.Metric, with ...attribute.KeyValue) (perSecond float64, ok bool) {
	growth, ok := v.growth(m, with...)
	return growth.value / v.elapsed.Seconds(), ok
}

// gained is like value, but returns the increase since the previous collection. A value that was
// absent then counts as 0. gained returns false if there is no previous collection, or if the value
// fell.
func (v *view) gained(m *catalog.Metric, with ...attribute.KeyValue) (n float64, ok bool) {
	now, ok := total(v.now.of(m.Name), with)
	before, _ := total(v.before.of(m.Name), with)
	return now.value - before.value, ok && v.elapsed > 0 && now.value >= before.value
}

// mean returns the mean of the values that were added to the histogram m since the previous
// collection, or of all values if there is no previous collection. It returns false if there are no
// such values.
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

// grew reports whether the result of value has increased since the previous collection. An absent
// value counts as 0.
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
	// A new histogram was empty before. A new sum may have increased before it was first observed.
	before, had := total(v.before.of(m.Name), with)
	if !had && m.Kind != catalog.Histogram || now.value < before.value {
		return point{}, false
	}
	return point{value: now.value - before.value, count: now.count - before.count}, true
}

// each calls f once for each value that key has in the points of m.
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
		if value, _ := set.Value(kv.Key); value != kv.Value { // the zero value if absent
			return false
		}
	}
	return true
}

// at returns the time of the collection, or the zero time if there was none.
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
