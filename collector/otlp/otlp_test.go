package otlp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// For random requests of each signal, Inspect counts the same points as decoding, and Enrich has
// the same result as decoding, merging and encoding.
func TestRandomRequests(t *testing.T) {
	set, add := added(t)
	for seed := range uint64(500) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		for _, signal := range otlp.Signals() {
			m := r.request(signal)
			data := marshal(t, m)
			points, err := otlp.Inspect(signal, data)
			if want := countPoints(m); err != nil || points != want {
				t.Fatalf("seed %d, %v: Inspect = %d, %v, want %d", seed, signal, points, err, want)
			}
			before := bytes.Clone(data)
			out, err := otlp.Enrich(data, add, math.MaxInt)
			if err != nil {
				t.Fatalf("seed %d, %v: %v", seed, signal, err)
			}
			if !bytes.Equal(before, data) {
				t.Fatalf("seed %d, %v: Enrich modified its argument", seed, signal)
			}
			if cap(out) > len(out)+len(out)/4+64 { // the allocator may round up
				t.Fatalf("seed %d, %v: the result of %d bytes has a capacity of %d", seed, signal, len(out), cap(out))
			}
			checkEnriched(t, signal, data, out, set)
			checkInPlace(t, data, out, add)
		}
	}
}

// checkInPlace checks that the result of EnrichInPlace equals want, whatever capacity data has.
func checkInPlace(t *testing.T, data, want []byte, add otlp.Attributes) {
	t.Helper()
	grown := max(0, len(want)-len(data))
	for _, spare := range []int{0, grown, grown + 1, grown + 21, grown + 22, grown + 23, grown + 64, 2*grown + 4096} {
		own := append(make([]byte, 0, len(data)+spare), data...)
		got, err := otlp.EnrichInPlace(own, add, math.MaxInt)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("with %d bytes of spare capacity: %v\n%x\nwant\n%x", spare, err, got, want)
		}
		if spare > grown+4096 && len(want) > 0 && &got[0] != &own[:1][0] {
			t.Fatal("the result does not reuse the request's memory")
		}
	}
}

// A group becomes shorter if its length was encoded in more bytes than necessary. At the beginning
// of the request, the output may then be further ahead of the input than at the end.
func TestEnrichInPlaceShorterGroups(t *testing.T) {
	_, add := added(t)
	all := marshal(t, &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{SchemaUrl: "x"}}})
	complete, err := otlp.Enrich(all, add, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	_, _, n := protowire.ConsumeField(complete)
	group, _ := protowire.ConsumeBytes(complete[1:n])
	data := bytes.Clone(all)
	for range 200 {
		padded := append(binary.AppendUvarint([]byte{0x0a}, uint64(len(group))), group...)
		last := lengthOf(padded)
		padded[last] |= 0x80
		padded = slices.Insert(padded, last+1, 0x80, 0x80, 0)
		data = append(data, padded...)
	}
	want, err := otlp.Enrich(data, add, math.MaxInt)
	if err != nil || len(want) >= len(data) {
		t.Fatalf("Enrich = %d bytes, %v, want fewer than %d bytes", len(want), err, len(data))
	}
	checkInPlace(t, data, want, add)
}

// lengthOf returns the index of the last byte of the first field's length.
func lengthOf(field []byte) int {
	i := 1
	for field[i]&0x80 != 0 {
		i++
	}
	return i
}

func checkEnriched(t *testing.T, signal otlp.Signal, data, out []byte, set attribute.Set) {
	t.Helper()
	want, got := empty(signal), empty(signal)
	if err := proto.Unmarshal(data, want); err != nil {
		t.Fatal(err)
	}
	enrich(want, set)
	if err := proto.Unmarshal(out, got); err != nil {
		t.Fatalf("%v: not decodable: %v", signal, err)
	}
	if !proto.Equal(want, got) {
		t.Fatalf("%v:\nwant %v\ngot  %v", signal, want, got)
	}
}

// Enrich preserves everything outside of resources byte for byte, even if another encoder would
// have encoded it differently.
func TestEnrichKeepsBytes(t *testing.T) {
	_, add := added(t)
	// scope_metrics with a length that is encoded in more bytes than necessary
	scope := []byte{0x12, 0x8a, 0x80, 0x00}
	scope = append(scope, "\x12\x08\x2a\x06\x0a\x00\x0a\x00\x12\x00"...)
	group := append(append([]byte{}, unknown...), scope...)
	data := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), group)
	data = append(data, unknown...)
	out, err := otlp.Enrich(data, add, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(out, append(append([]byte{}, group...), unknown...)) {
		t.Errorf("got %x, want it to contain the unchanged group %x", out, group)
	}
	if points, err := otlp.Inspect(otlp.Metrics, out); points != 2 || err != nil {
		t.Errorf("Inspect = %d, %v, want 2 points", points, err)
	}
}

// Decoders merge several resources of one ResourceSpans, so Enrich must not add an attribute that
// any of them has.
func TestEnrichSeveralResources(t *testing.T) {
	set, add := added(t)
	one := marshal(t, &tracepb.ResourceSpans{Resource: &resourcepb.Resource{}})
	group := append(append([]byte{}, one...), marshal(t, &tracepb.ResourceSpans{SchemaUrl: "u"})...)
	first := &resourcepb.Resource{}
	first.Attributes = append(first.Attributes, text("key.1", "theirs"))
	group = append(marshal(t, &tracepb.ResourceSpans{Resource: first}), group...)
	data := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), group)
	out, err := otlp.Enrich(data, add, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	checkEnriched(t, otlp.Traces, data, out, set)
}

func TestEnrichAddsNothing(t *testing.T) {
	data := marshal(t, random{rand.New(rand.NewPCG(3, 1))}.metrics())
	out, err := otlp.Enrich(data, otlp.Attributes{}, math.MaxInt)
	if err != nil || !bytes.Equal(data, out) {
		t.Fatalf("%v\n%x\n%x", err, data, out)
	}
	if len(out) > 0 && &out[0] == &data[0] {
		t.Error("the result shares memory with the request")
	}
}

func TestAllocations(t *testing.T) {
	_, add := added(t)
	data := marshal(t, request(10, 10))
	if n := testing.AllocsPerRun(100, func() { _, _ = otlp.Enrich(data, add, math.MaxInt) }); n != 1 {
		t.Errorf("Enrich allocates %v times, want once", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = otlp.Inspect(otlp.Metrics, data) }); n != 0 {
		t.Errorf("Inspect allocates %v times, want none", n)
	}
}

func TestMalformed(t *testing.T) {
	_, add := added(t)
	deep := bytes.Repeat([]byte{0x0b}, 1<<20) // nested groups that never end
	for name, data := range map[string][]byte{
		"truncated tag":          {0x80},
		"field 0":                {0x02, 0x00},
		"length beyond the end":  {0x0a, 0x05, 0x00},
		"length of 2^63":         {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"varint too long":        {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"end without a group":    {0x0c},
		"endless nesting":        deep,
		"resource cut short":     {0x0a, 0x03, 0x0a, 0x05, 0x00},
		"attribute cut short":    {0x0a, 0x05, 0x0a, 0x03, 0x0a, 0x01, 0x80},
		"key cut short":          {0x0a, 0x06, 0x0a, 0x04, 0x0a, 0x02, 0x0a, 0x05},
		"wire type 7":            {0x0f},
		"group inside the group": {0x0a, 0x02, 0x80, 0x80},
	} {
		for _, signal := range otlp.Signals() {
			if _, err := otlp.Inspect(signal, data); !errors.Is(err, otlp.ErrMalformed) {
				t.Errorf("%s: Inspect(%v) = %v, want ErrMalformed", name, signal, err)
			}
		}
		if _, err := otlp.Enrich(data, add, math.MaxInt); !errors.Is(err, otlp.ErrMalformed) {
			t.Errorf("%s: Enrich = %v, want ErrMalformed", name, err)
		}
	}
	scope := []byte{0x0a, 0x03, 0x12, 0x01, 0x80}
	metric := []byte{0x0a, 0x05, 0x12, 0x03, 0x12, 0x01, 0x80}
	points := []byte{0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, 0x80}
	for _, data := range [][]byte{scope, metric, points} {
		if n, err := otlp.Inspect(otlp.Metrics, data); !errors.Is(err, otlp.ErrMalformed) || n != 0 {
			t.Errorf("Inspect(%x) = %d, %v, want 0, ErrMalformed", data, n, err)
		}
	}
	if _, err := otlp.Inspect(9, nil); !errors.Is(err, otlp.ErrMalformed) {
		t.Errorf("signal 9: Inspect = %v, want ErrMalformed", err)
	}
}

func TestInspectKindsOfMetrics(t *testing.T) {
	metric := func(fields ...byte) []byte {
		data := fields
		for _, tag := range []byte{0x12, 0x12, 0x0a} {
			data = append([]byte{tag, byte(len(data))}, data...)
		}
		return data
	}
	for name, c := range map[string]struct {
		data []byte
		want int64
	}{
		"no data":                {metric(0x0a, 0x01, 'm'), 0},
		"gauge with two points":  {metric(0x2a, 0x04, 0x0a, 0x00, 0x0a, 0x00), 2},
		"gauge in two parts":     {metric(0x2a, 0x02, 0x0a, 0x00, 0x2a, 0x02, 0x0a, 0x00), 2},
		"gauge, then a sum":      {metric(0x2a, 0x04, 0x0a, 0x00, 0x0a, 0x00, 0x3a, 0x02, 0x0a, 0x00), 1},
		"metadata only":          {metric(0x62, 0x02, 0x0a, 0x00), 0},
		"future kind":            {metric(0x6a, 0x04, 0x0a, 0x00, 0x0a, 0x00), 1},
		"gauge and future field": {metric(0x2a, 0x02, 0x0a, 0x00, 0x6a, 0x02, 0x0a, 0x00), 1},
		"gauge as a varint":      {metric(0x28, 0x01), 0},
		"unknown varint":         {metric(0x68, 0x01), 0},
	} {
		if n, err := otlp.Inspect(otlp.Metrics, c.data); n != c.want || err != nil {
			t.Errorf("%s: Inspect = %d, %v, want %d", name, n, err, c.want)
		}
	}
}

func TestNewAttributes(t *testing.T) {
	set := attribute.NewSet(
		attribute.Bool("b", true),
		attribute.Float64("f", 0.5),
		attribute.Int64("i", 1),
		attribute.String("", ""),
	)
	add, err := otlp.NewAttributes(set)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte{0x0a, 0x00}
	out, err := otlp.Enrich(data, add, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	checkEnriched(t, otlp.Logs, data, out, set)

	if _, err := otlp.NewAttributes(attribute.NewSet(attribute.BoolSlice("flags", nil))); err == nil {
		t.Error("NewAttributes accepted a list of bools")
	}
	many := make([]attribute.KeyValue, 65)
	for i := range many {
		many[i] = attribute.Int(fmt.Sprint(i), i)
	}
	if _, err := otlp.NewAttributes(attribute.NewSet(many...)); err == nil {
		t.Error("NewAttributes accepted 65 attributes")
	}
	add, err = otlp.NewAttributes(attribute.NewSet(many[:64]...))
	if err != nil {
		t.Fatal(err)
	}
	if out, err = otlp.Enrich(data, add, math.MaxInt); err != nil {
		t.Fatal(err)
	}
	checkEnriched(t, otlp.Logs, data, out, attribute.NewSet(many[:64]...))
}

func TestJoin(t *testing.T) {
	a, b := request(1, 2), request(2, 3)
	got := &metricspb.MetricsData{}
	if err := proto.Unmarshal(otlp.Join(marshal(t, a), marshal(t, b)), got); err != nil {
		t.Fatal(err)
	}
	if want := (&metricspb.MetricsData{ResourceMetrics: append(a.ResourceMetrics, b.ResourceMetrics...)}); !proto.Equal(
		want,
		got,
	) {
		t.Errorf("want %v\ngot %v", want, got)
	}
}

func TestRejected(t *testing.T) {
	partial := func(n int64, message string) []byte {
		return marshal(t, &colmetricspb.ExportMetricsServiceResponse{
			PartialSuccess: &colmetricspb.ExportMetricsPartialSuccess{RejectedDataPoints: n, ErrorMessage: message},
		})
	}
	for _, c := range []struct {
		response []byte
		points   int64
		message  string
		bad      bool
	}{
		{nil, 0, "", false},
		{partial(0, ""), 0, "", false},
		{partial(7, "too old"), 7, "too old", false},
		{partial(0, "a warning"), 0, "a warning", false},
		{partial(-1, "nonsense"), 0, "nonsense", false},
		{append(partial(7, "x"), unknown...), 7, "x", false},
		{[]byte{0x0a, 0x05}, 0, "", true},
		{[]byte{0x0a, 0x01, 0x80}, 0, "", true},
	} {
		points, message, err := otlp.Rejected(c.response)
		if points != c.points || message != c.message || errors.Is(err, otlp.ErrMalformed) != c.bad {
			t.Errorf("Rejected(%x) = %d, %q, %v, want %d, %q", c.response, points, message, err, c.points, c.message)
		}
	}
}

func TestNames(t *testing.T) {
	if got := otlp.Metrics.Method(); got != colmetricspb.MetricsService_Export_FullMethodName {
		t.Error(got)
	}
	if otlp.Logs.Path() != "/v1/logs" || otlp.Signal(9).Method() != "" {
		t.Error(otlp.Logs.Path(), otlp.Signal(9).Method())
	}
}

// request returns a request with the given numbers of metrics and of points per metric, as an SDK
// sends them.
func request(metrics, points int) *metricspb.MetricsData {
	scope := &metricspb.ScopeMetrics{}
	for range metrics {
		gauge := &metricspb.Gauge{}
		for range points {
			gauge.DataPoints = append(gauge.DataPoints, &metricspb.NumberDataPoint{
				TimeUnixNano:      1 << 60,
				StartTimeUnixNano: 1 << 60,
				Value:             &metricspb.NumberDataPoint_AsDouble{AsDouble: 1.5},
			})
			gauge.DataPoints[0].Attributes = append(gauge.DataPoints[0].Attributes, text("http.request.method", "GET"))
		}
		scope.Metrics = append(scope.Metrics, &metricspb.Metric{
			Name: "http.server.request.duration", Unit: "s", Data: &metricspb.Metric_Gauge{Gauge: gauge},
		})
	}
	resource := &resourcepb.Resource{}
	for _, key := range []string{"service.name", "service.version", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version", "key.3"} {
		resource.Attributes = append(resource.Attributes, text(key, "value"))
	}
	return &metricspb.MetricsData{
		ResourceMetrics: []*metricspb.ResourceMetrics{
			{Resource: resource, ScopeMetrics: []*metricspb.ScopeMetrics{scope}},
		},
	}
}

// BenchmarkInspectEnrich measures Inspect and Enrich together, which process every request.
func BenchmarkInspectEnrich(b *testing.B) {
	_, add := added(b)
	for _, metrics := range []int{1, 10} {
		data := marshal(b, request(metrics, 10))
		b.Run(fmt.Sprintf("points=%d", metrics*10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := otlp.Inspect(otlp.Metrics, data); err != nil {
					b.Fatal(err)
				}
				if _, err := otlp.Enrich(data, add, math.MaxInt); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*metrics*10), "ns/point")
		})
	}
}
