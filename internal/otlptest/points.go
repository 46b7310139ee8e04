package otlptest

import (
	"iter"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// Point is a data point with its metric and resource.
type Point struct {
	Metric      string
	Unit        string
	Temporality metricpb.AggregationTemporality // only for sums and histograms
	Resource    map[string]string
	Attributes  map[string]string
	Start, Time time.Time
	Value       float64 // for a histogram, its sum
	Count       uint64  // only for a histogram
	Max         float64 // only for a histogram; 0 if unknown
}

// Points yields every point in r. Points of the same resource or series share their maps, which
// must not be modified.
func Points(r *Request) iter.Seq[Point] {
	return func(yield func(Point) bool) {
		for m, resource := range metrics(r) {
			for p := range points(m) {
				p.Metric, p.Unit, p.Resource = m.GetName(), m.GetUnit(), resource
				if !yield(p) {
					return
				}
			}
		}
	}
}

// Count returns the number of points in r.
func Count(r *Request) int {
	n := 0
	for m := range metrics(r) {
		n += len(m.GetGauge().GetDataPoints()) + len(m.GetSum().GetDataPoints()) +
			len(m.GetHistogram().GetDataPoints()) + len(m.GetExponentialHistogram().GetDataPoints())
	}
	return n
}

// metrics yields every metric of r together with the attributes of its resource.
func metrics(r *Request) iter.Seq2[*metricpb.Metric, map[string]string] {
	return func(yield func(*metricpb.Metric, map[string]string) bool) {
		for _, rm := range r.GetResourceMetrics() {
			resource := stringMap(rm.GetResource().GetAttributes())
			for _, sm := range rm.GetScopeMetrics() {
				for _, m := range sm.GetMetrics() {
					if !yield(m, resource) {
						return
					}
				}
			}
		}
	}
}

// points yields the points of m, without name, unit and resource.
func points(m *metricpb.Metric) iter.Seq[Point] {
	return func(yield func(Point) bool) {
		for _, d := range append(m.GetGauge().GetDataPoints(), m.GetSum().GetDataPoints()...) {
			p := newPoint(d)
			p.Temporality, p.Value = m.GetSum().GetAggregationTemporality(), number(d)
			if !yield(p) {
				return
			}
		}
		for _, d := range m.GetHistogram().GetDataPoints() {
			p := newPoint(d)
			p.Temporality, p.Value, p.Count, p.Max = m.GetHistogram().
				GetAggregationTemporality(),
				d.GetSum(), d.GetCount(), d.GetMax()
			if !yield(p) {
				return
			}
		}
		for _, d := range m.GetExponentialHistogram().GetDataPoints() {
			p := newPoint(d)
			p.Temporality, p.Value, p.Count, p.Max = m.GetExponentialHistogram().
				GetAggregationTemporality(),
				d.GetSum(), d.GetCount(), d.GetMax()
			if !yield(p) {
				return
			}
		}
	}
}

// newPoint returns a Point with the attributes and times of d.
func newPoint(d interface {
	GetAttributes() []*commonpb.KeyValue
	GetStartTimeUnixNano() uint64
	GetTimeUnixNano() uint64
},
) Point {
	return Point{
		Attributes: stringMap(d.GetAttributes()),
		Start:      time.Unix(0, int64(d.GetStartTimeUnixNano())),
		Time:       time.Unix(0, int64(d.GetTimeUnixNano())),
	}
}

func number(d *metricpb.NumberDataPoint) float64 {
	if v, ok := d.GetValue().(*metricpb.NumberDataPoint_AsInt); ok {
		return float64(v.AsInt)
	}
	return d.GetAsDouble()
}

// stringMap returns kvs as a map, with values that are not strings in protobuf's text format.
func stringMap(kvs []*commonpb.KeyValue) map[string]string {
	m := make(map[string]string, len(kvs))
	for _, kv := range kvs {
		if s, ok := kv.GetValue().GetValue().(*commonpb.AnyValue_StringValue); ok {
			m[kv.GetKey()] = s.StringValue
			continue
		}
		m[kv.GetKey()] = kv.GetValue().String()
	}
	return m
}
