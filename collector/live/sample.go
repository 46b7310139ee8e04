package live

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Sample is the newest point of one series of an app or of the sidecar itself.
type Sample struct {
	Metric     *catalog.Metric
	Resource   []Label // resource attributes of the app or the sidecar
	Attributes []Label
	Start      time.Time // start of the series; the zero time if unknown
	Value      float64
	Buckets    *otlp.Buckets // of a histogram; valid only until the callback returns
}

// Label is an attribute whose value was converted to a string.
type Label struct{ Name, Value string }

// maxSampleAge is the maximum age of an app's point that EachSample passes to its callback.
const maxSampleAge = 5 * time.Minute

// EachSample calls f with the newest point of each cumulative series of the catalog's metrics. The
// sidecar's own series come last. f must not call methods of l.
func (l *Live) EachSample(f func(*Sample)) {
	if own := l.eachOfApps(f); own != nil {
		eachOwn(own, f)
	}
}

// eachOfApps calls f with the samples of apps, and returns the sidecar's own, which are never
// modified.
func (l *Live) eachOfApps(f func(*Sample)) (own *metricdata.ResourceMetrics) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, a := range l.apps {
		if now.Sub(a.seen) < maxSampleAge {
			a.each(now, &l.work.now, f)
		}
	}
	return l.own
}

func (a *app) each(now time.Time, buckets *otlp.Buckets, f func(*Sample)) {
	var resource []Label
	otlp.EachAttribute(
		a.resource,
		func(key, value []byte) { resource = append(resource, Label{text(key), text(value)}) },
	)
	for _, s := range a.series {
		if s.delta || s.at == 0 || now.UnixNano()-s.at > int64(maxSampleAge) ||
			s.pool != nil && s.generation != s.pool.generation {
			continue
		}
		sample := Sample{Metric: s.metric, Resource: resource, Value: s.value}
		if s.start != 0 {
			sample.Start = time.Unix(0, s.start)
		}
		if s.pool != nil {
			sample.Attributes = []Label{
				{string(catalog.PoolNameKey), s.pool.name},
				{string(catalog.PoolKindKey), s.pool.kind},
			}
		}
		s.eachAttribute(
			func(key, value []byte) { sample.Attributes = append(sample.Attributes, Label{text(key), text(value)}) },
		)
		if s.metric.Kind == catalog.Histogram {
			if !otlp.ReadBuckets(s.histogramOf().now, s.kind, buckets) {
				continue
			}
			sample.Buckets = buckets
		}
		f(&sample)
	}
}

func eachOwn(rm *metricdata.ResourceMetrics, f func(*Sample)) {
	resource := labels(rm.Resource.Set())
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if row := rows[m.Name]; row != nil && !isDelta(m.Data) {
				eachOf(m.Data, row, resource, f)
			}
		}
	}
}

// eachOf calls f with each point of one metric.
func eachOf(data metricdata.Aggregation, row *catalog.Metric, resource []Label, f func(*Sample)) {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		eachNumber(row, resource, d.DataPoints, f)
	case metricdata.Gauge[float64]:
		eachNumber(row, resource, d.DataPoints, f)
	case metricdata.Sum[int64]:
		eachNumber(row, resource, d.DataPoints, f)
	case metricdata.Sum[float64]:
		eachNumber(row, resource, d.DataPoints, f)
	case metricdata.Histogram[float64]:
		for i := range d.DataPoints {
			p := &d.DataPoints[i]
			f(
				&Sample{
					Metric:     row,
					Resource:   resource,
					Attributes: labels(&p.Attributes),
					Start:      p.StartTime,
					Buckets: &otlp.Buckets{
						Count: p.Count, Sum: p.Sum, Bounds: p.Bounds, Counts: p.BucketCounts,
					},
				},
			)
		}
	case metricdata.ExponentialHistogram[float64]:
		for i := range d.DataPoints {
			p := &d.DataPoints[i]
			f(
				&Sample{
					Metric:     row,
					Resource:   resource,
					Attributes: labels(&p.Attributes),
					Start:      p.StartTime,
					Buckets: &otlp.Buckets{
						Count:  p.Count,
						Zero:   p.ZeroCount,
						Sum:    p.Sum,
						Scale:  p.Scale,
						Offset: p.PositiveBucket.Offset,
						Counts: p.PositiveBucket.Counts,
					},
				},
			)
		}
	}
}

func eachNumber[N int64 | float64](
	row *catalog.Metric,
	resource []Label,
	points []metricdata.DataPoint[N],
	f func(*Sample),
) {
	for i := range points {
		p := &points[i]
		f(
			&Sample{
				Metric:     row,
				Resource:   resource,
				Attributes: labels(&p.Attributes),
				Start:      p.StartTime,
				Value:      float64(p.Value),
			},
		)
	}
}

func labels(set *attribute.Set) []Label {
	all := make([]Label, 0, set.Len())
	for i := set.Iter(); i.Next(); {
		kv := i.Attribute()
		all = append(all, Label{string(kv.Key), kv.Value.String()})
	}
	return all
}
