package otlp

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/encoding/protowire"
)

// Encode returns rm as an export request. It is the request that OpenTelemetry's exporter would
// send, but Encode does not build that exporter's intermediate messages. Encode replaces invalid
// UTF-8 with U+FFFD. It returns an error for kinds of metrics and types of attributes that the
// sidecar does not use.
func Encode(rm *metricdata.ResourceMetrics) (Batch, error) {
	e := &encoder{out: make([]byte, 0, 16<<10)}
	group := e.open(requestGroups)
	resource := e.open(groupResource)
	e.attributes(resourceAttrs, rm.Resource.Set())
	e.close(resource)
	for i := range rm.ScopeMetrics {
		e.scope(&rm.ScopeMetrics[i])
	}
	e.text(3, rm.Resource.SchemaURL())
	e.close(group)
	return Batch{Signal: Metrics, Points: e.points, Data: e.out}, e.err
}

// encoder writes messages in wire format. As in proto3, it omits fields with the zero value.
type encoder struct {
	out    []byte
	points int64
	err    error // the first error
}

// open starts a message in the field num, and returns the position to pass to close.
func (e *encoder) open(num protowire.Number) (at int) {
	e.out = protowire.AppendTag(e.out, num, protowire.BytesType)
	e.out = append(e.out, 0)
	return len(e.out)
}

// close ends the message that starts at the given position, and fills in the message's size. open
// reserved one byte for the size, which is enough for most messages.
func (e *encoder) close(at int) {
	size := uint64(len(e.out) - at)
	if more := protowire.SizeVarint(size) - 1; more > 0 {
		e.out = append(e.out, "1234"[:more]...)
		copy(e.out[at+more:], e.out[at:])
	}
	protowire.AppendVarint(e.out[:at-1], size)
}

// text writes s, unless it is empty.
func (e *encoder) text(num protowire.Number, s string) {
	if s == "" {
		return
	}
	e.string(num, s)
}

// string writes s, even if it is empty.
func (e *encoder) string(num protowire.Number, s string) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	e.out = protowire.AppendString(protowire.AppendTag(e.out, num, protowire.BytesType), s)
}

func (e *encoder) bytes(num protowire.Number, b []byte) {
	if len(b) > 0 {
		e.out = protowire.AppendBytes(protowire.AppendTag(e.out, num, protowire.BytesType), b)
	}
}

func (e *encoder) varint(num protowire.Number, v uint64) {
	e.out = protowire.AppendVarint(protowire.AppendTag(e.out, num, protowire.VarintType), v)
}

func (e *encoder) fixed(num protowire.Number, v uint64) {
	e.out = protowire.AppendFixed64(protowire.AppendTag(e.out, num, protowire.Fixed64Type), v)
}

// count writes v as a fixed64, unless it is 0.
func (e *encoder) count(num protowire.Number, v uint64) {
	if v != 0 {
		e.fixed(num, v)
	}
}

func (e *encoder) double(num protowire.Number, v float64) { e.fixed(num, math.Float64bits(v)) }

// signed writes v as a sint32, unless it is 0.
func (e *encoder) signed(num protowire.Number, v int32) {
	if v != 0 {
		e.varint(num, protowire.EncodeZigZag(int64(v)))
	}
}

func (e *encoder) scope(s *metricdata.ScopeMetrics) {
	at := e.open(groupScopes)
	scope := e.open(1)
	e.text(1, s.Scope.Name)
	e.text(2, s.Scope.Version)
	e.attributes(3, &s.Scope.Attributes)
	e.close(scope)
	for i := range s.Metrics {
		e.metric(&s.Metrics[i])
	}
	e.text(3, s.Scope.SchemaURL)
	e.close(at)
}

func (e *encoder) metric(m *metricdata.Metrics) {
	at := e.open(scopeRecords)
	e.text(1, m.Name)
	e.text(2, m.Description)
	e.text(3, m.Unit)
	switch d := m.Data.(type) {
	case metricdata.Gauge[int64]:
		numbers(e, metricGauge, d.DataPoints, 0, false)
	case metricdata.Gauge[float64]:
		numbers(e, metricGauge, d.DataPoints, 0, false)
	case metricdata.Sum[int64]:
		numbers(e, metricSum, d.DataPoints, d.Temporality, d.IsMonotonic)
	case metricdata.Sum[float64]:
		numbers(e, metricSum, d.DataPoints, d.Temporality, d.IsMonotonic)
	case metricdata.Histogram[float64]:
		e.histogram(&d)
	case metricdata.ExponentialHistogram[float64]:
		e.exponential(&d)
	default:
		e.fail(fmt.Errorf("metric %s: cannot encode data of type %T", m.Name, d))
	}
	e.close(at)
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// The field numbers of the kinds of data that a metric can have.
const (
	metricGauge       protowire.Number = 5
	metricSum         protowire.Number = 7
	metricHistogram   protowire.Number = 9
	metricExponential protowire.Number = 10
)

// temporality writes t, the second field of a metric's data. Every kind of metric except gauges has
// this field.
func (e *encoder) temporality(t metricdata.Temporality) {
	switch t {
	case metricdata.DeltaTemporality:
		e.varint(2, 1)
	case metricdata.CumulativeTemporality:
		e.varint(2, 2)
	default:
		e.fail(fmt.Errorf("cannot encode the unknown temporality %v", t))
	}
}

func numbers[N int64 | float64](
	e *encoder, kind protowire.Number, points []metricdata.DataPoint[N], t metricdata.Temporality, monotonic bool,
) {
	at := e.open(kind)
	for i := range points {
		p := &points[i]
		point := e.open(dataPoints)
		e.times(p.StartTime, p.Time)
		value(e, 6, 4, p.Value)
		e.attributes(7, &p.Attributes)
		exemplars(e, 5, p.Exemplars)
		e.close(point)
		e.points++
	}
	if kind == metricSum {
		e.temporality(t)
		if monotonic {
			e.varint(3, 1)
		}
	}
	e.close(at)
}

// times writes the start and end times as the second and third fields of a point. An exemplar has
// only the second field.
func (e *encoder) times(start, end time.Time) {
	for i, t := range [...]time.Time{start, end} {
		if ns := t.UnixNano(); ns > 0 {
			e.fixed(protowire.Number(2+i), uint64(ns))
		}
	}
}

// aggregates writes the fields that points of both kinds of histograms share.
func (e *encoder) aggregates(
	count uint64,
	sum float64,
	minField, maxField protowire.Number,
	minimum, maximum metricdata.Extrema[float64],
) {
	e.count(4, count)
	e.double(5, sum)
	if v, ok := minimum.Value(); ok {
		e.double(minField, v)
	}
	if v, ok := maximum.Value(); ok {
		e.double(maxField, v)
	}
}

func (e *encoder) histogram(h *metricdata.Histogram[float64]) {
	at := e.open(metricHistogram)
	for i := range h.DataPoints {
		p := &h.DataPoints[i]
		point := e.open(dataPoints)
		e.times(p.StartTime, p.Time)
		e.aggregates(p.Count, p.Sum, 11, 12, p.Min, p.Max)
		if len(p.BucketCounts) > 0 {
			counts := e.open(6)
			for _, n := range p.BucketCounts {
				e.out = protowire.AppendFixed64(e.out, n)
			}
			e.close(counts)
		}
		if len(p.Bounds) > 0 {
			bounds := e.open(7)
			for _, v := range p.Bounds {
				e.out = protowire.AppendFixed64(e.out, math.Float64bits(v))
			}
			e.close(bounds)
		}
		e.attributes(9, &p.Attributes)
		exemplars(e, 8, p.Exemplars)
		e.close(point)
		e.points++
	}
	e.temporality(h.Temporality)
	e.close(at)
}

func (e *encoder) exponential(h *metricdata.ExponentialHistogram[float64]) {
	at := e.open(metricExponential)
	for i := range h.DataPoints {
		p := &h.DataPoints[i]
		point := e.open(dataPoints)
		e.attributes(1, &p.Attributes)
		e.times(p.StartTime, p.Time)
		e.aggregates(p.Count, p.Sum, 12, 13, p.Min, p.Max)
		e.signed(6, p.Scale)
		e.count(7, p.ZeroCount)
		e.buckets(8, &p.PositiveBucket)
		e.buckets(9, &p.NegativeBucket)
		if p.ZeroThreshold != 0 {
			e.double(14, p.ZeroThreshold)
		}
		exemplars(e, 11, p.Exemplars)
		e.close(point)
		e.points++
	}
	e.temporality(h.Temporality)
	e.close(at)
}

func (e *encoder) buckets(num protowire.Number, b *metricdata.ExponentialBucket) {
	at := e.open(num)
	e.signed(1, b.Offset)
	if len(b.Counts) > 0 {
		counts := e.open(2)
		for _, n := range b.Counts {
			e.out = protowire.AppendVarint(e.out, n)
		}
		e.close(counts)
	}
	e.close(at)
}

// value writes v in the field asInt or asDouble, depending on v's type.
func value[N int64 | float64](e *encoder, asInt, asDouble protowire.Number, v N) {
	switch v := any(v).(type) {
	case int64:
		e.fixed(asInt, uint64(v))
	case float64:
		e.double(asDouble, v)
	}
}

func exemplars[N int64 | float64](e *encoder, num protowire.Number, all []metricdata.Exemplar[N]) {
	for i := range all {
		x := &all[i]
		at := e.open(num)
		e.times(x.Time, time.Time{})
		e.bytes(4, x.SpanID)
		e.bytes(5, x.TraceID)
		value(e, 6, 3, x.Value)
		for _, kv := range x.FilteredAttributes {
			e.keyValue(7, kv)
		}
		e.close(at)
	}
}

func (e *encoder) attributes(num protowire.Number, set *attribute.Set) {
	for i := set.Iter(); i.Next(); {
		e.keyValue(num, i.Attribute())
	}
}

func (e *encoder) keyValue(num protowire.Number, kv attribute.KeyValue) {
	at := e.open(num)
	e.text(keyValueKey, string(kv.Key))
	v := e.open(2)
	e.anyValue(kv.Value)
	e.close(v)
	e.close(at)
}

func (e *encoder) anyValue(v attribute.Value) {
	switch v.Type() {
	case attribute.STRING:
		e.string(1, v.AsString())
	case attribute.BOOL:
		e.varint(2, protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		e.varint(3, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		e.double(4, v.AsFloat64())
	case attribute.STRINGSLICE: // such as a command with its arguments
		list := e.open(5)
		for _, s := range v.AsStringSlice() {
			one := e.open(1)
			e.string(1, s)
			e.close(one)
		}
		e.close(list)
	default:
		e.fail(fmt.Errorf("cannot encode an attribute of type %v", v.Type()))
	}
}
