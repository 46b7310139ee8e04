package otlp_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// unknown is a field of a newer version of the protocol.
var unknown = protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "from the future")

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{
		Key:   key,
		Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}},
	}
}

// random builds requests with everything that must be preserved: unknown fields at each level,
// every kind of metric, and exemplars.
type random struct{ *rand.Rand }

func (r random) unknown(m proto.Message) {
	if r.IntN(3) == 0 {
		m.ProtoReflect().SetUnknown(unknown)
	}
}

func (r random) resource() *resourcepb.Resource {
	if r.IntN(4) == 0 {
		return nil
	}
	m := &resourcepb.Resource{DroppedAttributesCount: uint32(r.IntN(3))}
	for i := range r.IntN(12) {
		m.Attributes = append(m.Attributes, text(fmt.Sprintf("key.%d", (i*7+r.IntN(2))%16), "theirs"))
	}
	if r.IntN(3) == 0 {
		m.EntityRefs = []*commonpb.EntityRef{{Type: "host", IdKeys: []string{"host.name"}}}
	}
	r.unknown(m)
	return m
}

func (r random) number() []*metricspb.NumberDataPoint {
	points := make([]*metricspb.NumberDataPoint, r.IntN(4))
	for i := range points {
		points[i] = &metricspb.NumberDataPoint{
			TimeUnixNano: r.Uint64(), Value: &metricspb.NumberDataPoint_AsInt{AsInt: r.Int64()},
			Exemplars: []*metricspb.Exemplar{{SpanId: []byte("12345678"), TraceId: []byte("1234567812345678")}},
		}
		r.unknown(points[i])
	}
	return points
}

func (r random) metric() *metricspb.Metric {
	m := &metricspb.Metric{Name: "m", Metadata: []*commonpb.KeyValue{text("k", "v")}}
	switch r.IntN(6) {
	case 0:
		m.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: r.number()}}
	case 1:
		m.Data = &metricspb.Metric_Sum{Sum: &metricspb.Sum{DataPoints: r.number(), IsMonotonic: true}}
	case 2:
		m.Data = &metricspb.Metric_Histogram{
			Histogram: &metricspb.Histogram{DataPoints: []*metricspb.HistogramDataPoint{{
				Count: 2, BucketCounts: []uint64{1, 1}, ExplicitBounds: []float64{1},
			}}},
		}
	case 3:
		m.Data = &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: &metricspb.ExponentialHistogram{
			DataPoints: []*metricspb.ExponentialHistogramDataPoint{
				{
					Count: 2,
					Scale: -3,
					Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{
						Offset:       -1,
						BucketCounts: []uint64{1, 1},
					},
				},
				{},
			},
		}}
	case 4:
		m.Data = &metricspb.Metric_Summary{
			Summary: &metricspb.Summary{DataPoints: []*metricspb.SummaryDataPoint{{Count: 1}}},
		}
	}
	r.unknown(m.ProtoReflect().Interface())
	return m
}

func (r random) metrics() *metricspb.MetricsData {
	m := &metricspb.MetricsData{}
	for range r.IntN(4) {
		group := &metricspb.ResourceMetrics{
			Resource:  r.resource(),
			SchemaUrl: "https://opentelemetry.io/schemas/1.40.0",
		}
		for range r.IntN(3) {
			scope := &metricspb.ScopeMetrics{Scope: &commonpb.InstrumentationScope{Name: "s"}, SchemaUrl: "u"}
			for range r.IntN(4) {
				scope.Metrics = append(scope.Metrics, r.metric())
			}
			r.unknown(scope)
			group.ScopeMetrics = append(group.ScopeMetrics, scope)
		}
		r.unknown(group)
		m.ResourceMetrics = append(m.ResourceMetrics, group)
	}
	r.unknown(m)
	return m
}

func (r random) traces() *tracepb.TracesData {
	m := &tracepb.TracesData{}
	for range r.IntN(4) {
		group := &tracepb.ResourceSpans{Resource: r.resource()}
		for range r.IntN(3) {
			group.ScopeSpans = append(group.ScopeSpans, &tracepb.ScopeSpans{Spans: make([]*tracepb.Span, 0, 3)})
		}
		for _, scope := range group.ScopeSpans {
			for range r.IntN(4) {
				scope.Spans = append(scope.Spans, &tracepb.Span{Name: "n", TraceId: []byte("1234567812345678")})
			}
		}
		r.unknown(group)
		m.ResourceSpans = append(m.ResourceSpans, group)
	}
	return m
}

func (r random) logs() *logspb.LogsData {
	m := &logspb.LogsData{}
	for range r.IntN(4) {
		scope := &logspb.ScopeLogs{}
		for range r.IntN(4) {
			scope.LogRecords = append(scope.LogRecords, &logspb.LogRecord{SeverityText: "INFO"})
		}
		m.ResourceLogs = append(
			m.ResourceLogs,
			&logspb.ResourceLogs{Resource: r.resource(), ScopeLogs: []*logspb.ScopeLogs{scope}},
		)
	}
	return m
}

func (r random) request(s otlp.Signal) proto.Message {
	switch s {
	case otlp.Metrics:
		return r.metrics()
	case otlp.Traces:
		return r.traces()
	default:
		return r.logs()
	}
}

// empty returns an empty message into which a request of s can be decoded.
func empty(s otlp.Signal) proto.Message {
	return random{rand.New(rand.NewPCG(0, 0))}.request(s).ProtoReflect().Type().New().Interface()
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// added returns twenty attributes, some of which the random resources already have.
func added(t testing.TB) (attribute.Set, otlp.Attributes) {
	t.Helper()
	kvs := make([]attribute.KeyValue, 0, 20)
	for i := range 18 {
		kvs = append(kvs, attribute.String(fmt.Sprintf("key.%d", i), "ours"))
	}
	kvs = append(kvs, attribute.Int("pid", -7), attribute.StringSlice("ip", []string{"10.0.0.1", ""}))
	set := attribute.NewSet(kvs...)
	a, err := otlp.NewAttributes(set)
	if err != nil {
		t.Fatal(err)
	}
	return set, a
}

// countPoints is the reference implementation of Inspect.
func countPoints(m proto.Message) (n int64) {
	switch m := m.(type) {
	case *metricspb.MetricsData:
		for _, group := range m.GetResourceMetrics() {
			for _, scope := range group.GetScopeMetrics() {
				for _, metric := range scope.GetMetrics() {
					n += pointsOf(metric)
				}
			}
		}
	case *tracepb.TracesData:
		for _, group := range m.GetResourceSpans() {
			for _, scope := range group.GetScopeSpans() {
				n += int64(len(scope.GetSpans()))
			}
		}
	case *logspb.LogsData:
		for _, group := range m.GetResourceLogs() {
			for _, scope := range group.GetScopeLogs() {
				n += int64(len(scope.GetLogRecords()))
			}
		}
	}
	return n
}

func pointsOf(m *metricspb.Metric) int64 {
	if m.Data == nil {
		for unknown := m.ProtoReflect().GetUnknown(); len(unknown) > 0; {
			_, kind, n := protowire.ConsumeField(unknown)
			if _, t, _ := protowire.ConsumeTag(unknown); t == protowire.BytesType {
				return 1
			}
			_ = kind
			unknown = unknown[n:]
		}
	}
	return int64(
		len(m.GetGauge().GetDataPoints()) + len(m.GetSum().GetDataPoints()) + len(m.GetHistogram().GetDataPoints()) +
			len(m.GetExponentialHistogram().GetDataPoints()) + len(m.GetSummary().GetDataPoints()),
	)
}

// enrich is the reference implementation of Enrich: it adds the missing attributes in order.
func enrich(m proto.Message, add attribute.Set) {
	fill := func(r *resourcepb.Resource) *resourcepb.Resource {
		if r == nil {
			r = &resourcepb.Resource{}
		}
		has := map[string]bool{}
		for _, kv := range r.Attributes {
			has[kv.GetKey()] = true
		}
		for _, kv := range add.ToSlice() {
			if !has[string(kv.Key)] {
				r.Attributes = append(r.Attributes, &commonpb.KeyValue{Key: string(kv.Key), Value: anyValue(kv.Value)})
			}
		}
		return r
	}
	switch m := m.(type) {
	case *metricspb.MetricsData:
		for _, group := range m.GetResourceMetrics() {
			group.Resource = fill(group.Resource)
		}
	case *tracepb.TracesData:
		for _, group := range m.GetResourceSpans() {
			group.Resource = fill(group.Resource)
		}
	case *logspb.LogsData:
		for _, group := range m.GetResourceLogs() {
			group.Resource = fill(group.Resource)
		}
	}
}

func anyValue(v attribute.Value) *commonpb.AnyValue {
	switch v.Type() {
	case attribute.INT64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: v.AsInt64()}}
	case attribute.BOOL:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v.AsBool()}}
	case attribute.FLOAT64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v.AsFloat64()}}
	case attribute.STRINGSLICE:
		list := &commonpb.ArrayValue{}
		for _, s := range v.AsStringSlice() {
			list.Values = append(list.Values, &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}})
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: list}}
	default:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v.AsString()}}
	}
}
