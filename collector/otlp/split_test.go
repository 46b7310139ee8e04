package otlp

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// Splitting a request repeatedly yields parts with one point each and everything around that point.
// No point is lost or changed.
func TestSplitToPoints(t *testing.T) {
	metric := func(name string, times ...uint64) *metricspb.Metric {
		h := &metricspb.Histogram{
			AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA,
		}
		for _, at := range times {
			h.DataPoints = append(h.DataPoints, &metricspb.HistogramDataPoint{TimeUnixNano: at, Count: at})
		}
		return &metricspb.Metric{Name: name, Unit: "s", Data: &metricspb.Metric_Histogram{Histogram: h}}
	}
	request := &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{
		{SchemaUrl: "one", ScopeMetrics: []*metricspb.ScopeMetrics{
			{SchemaUrl: "a", Metrics: []*metricspb.Metric{metric("m", 1, 2, 3), metric("n", 4)}},
			{SchemaUrl: "b", Metrics: []*metricspb.Metric{metric("o", 5, 6)}},
		}},
		{SchemaUrl: "two", ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{metric("p", 7)}}}},
	}}
	request.ResourceMetrics[0].ProtoReflect().
		SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "future"))
	data, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var parts [][]byte
	var divide func([]byte)
	divide = func(part []byte) {
		if first, second, ok := Split(Metrics, part); ok {
			// capacities may be rounded up
			if cap(first)-len(first) > len(first)/4+16 || cap(second)-len(second) > len(second)/4+16 {
				t.Errorf("lengths %d and %d, capacities %d and %d", len(first), len(second), cap(first), cap(second))
			}
			divide(first)
			divide(second)
			return
		}
		parts = append(parts, part)
	}
	divide(data)
	if len(parts) != 7 {
		t.Fatalf("got %d parts, want one for each of the 7 points", len(parts))
	}
	for i, part := range parts {
		var got metricspb.MetricsData
		if err := proto.Unmarshal(part, &got); err != nil {
			t.Fatal(err)
		}
		group := got.GetResourceMetrics()[0]
		m := group.GetScopeMetrics()[0].GetMetrics()[0]
		h := m.GetHistogram()
		if n, err := Inspect(
			Metrics,
			part,
		); n != 1 || err != nil ||
			h.GetDataPoints()[0].GetTimeUnixNano() != uint64(i+1) {
			t.Errorf("part %d: Inspect = %d, %v, want only point %d: %v", i, n, err, i+1, &got)
		}
		if m.GetUnit() != "s" ||
			h.GetAggregationTemporality() != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA {
			t.Errorf("part %d lost fields of its metric: %v", i, &got)
		}
		if i < 6 &&
			(group.GetSchemaUrl() != "one" || !bytes.Contains(group.ProtoReflect().GetUnknown(), []byte("future"))) {
			t.Errorf("part %d lost fields of its group: %v", i, group)
		}
	}
}

func TestSplitRefusesIndivisibleRequests(t *testing.T) {
	for name, data := range map[string][]byte{"nothing": nil, "one record": {0x0a, 0x04, 0x12, 0x02, 0x12, 0x00}, "malformed": {0x0a, 0x05}} {
		if _, _, ok := Split(Logs, data); ok {
			t.Errorf("Split divided %s", name)
		}
	}
}

// A request is not divided if most of it, such as a large resource, would be in both parts.
func TestSplitRefusesIfPartsWouldBeLarge(t *testing.T) {
	points := []*metricspb.NumberDataPoint{{TimeUnixNano: 1}, {TimeUnixNano: 2}}
	request := &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		SchemaUrl: strings.Repeat("x", 10_000), ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{{
			Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: points}},
		}}}},
	}}}
	data, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if a, b, ok := Split(Metrics, data); ok {
		t.Errorf("Split divided %d bytes into %d and %d", len(data), len(a), len(b))
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			Split(Metrics, data)
		}
	}).AllocedBytesPerOp()
	if allocated > int64(len(data)/2) {
		t.Errorf("Split allocated %d bytes for a request of %d that it did not divide", allocated, len(data))
	}
}
