package otlp

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// exported returns the request that OpenTelemetry's exporter sends for rm.
func exported(t *testing.T, rm *metricdata.ResourceMetrics) (got *metricspb.ExportMetricsServiceRequest) {
	t.Helper()
	intercept := func(_ context.Context, _ string, request, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
		got = request.(*metricspb.ExportMetricsServiceRequest)
		return nil
	}
	conn, err := grpc.NewClient(
		"passthrough:///x",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(intercept),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	e, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Export(t.Context(), rm); err != nil {
		t.Fatal(err)
	}
	return got
}

// sample generates random collections with all kinds of metrics and values, including zeros and
// extremes.
type sample struct{ *rand.Rand }

func (s sample) set() attribute.Set {
	all := []attribute.KeyValue{
		attribute.String(
			"empty",
			"",
		),
		attribute.String("text", "späte Größe"),
		attribute.Bool("yes", true),
		attribute.Bool("no", false),
		attribute.Int(
			"zero",
			0,
		),
		attribute.Int64("least", math.MinInt64),
		attribute.Int64("most", math.MaxInt64),
		attribute.Float64("pi", -3.14),
		attribute.Float64(
			"nothing",
			0,
		),
		attribute.StringSlice("command", []string{"a", "", "b c"}),
		attribute.StringSlice("none", nil),
		attribute.String("long", string(make([]byte, s.IntN(300)))),
		attribute.Int("", 1),
	}
	s.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return attribute.NewSet(all[:s.IntN(len(all))]...)
}

func (s sample) time() time.Time {
	return []time.Time{{}, time.Unix(0, 0), time.Unix(0, 1), time.Now(), time.Unix(-5, 0)}[s.IntN(5)]
}

func (s sample) extrema() metricdata.Extrema[float64] {
	return []metricdata.Extrema[float64]{{}, metricdata.NewExtrema(0.0), metricdata.NewExtrema(-2.5)}[s.IntN(3)]
}

func (s sample) counts() (counts []uint64) {
	for range s.IntN(40) {
		counts = append(counts, s.Uint64()>>s.IntN(64))
	}
	return counts
}

func ints(s sample) int64 { return []int64{0, 1, -1, math.MinInt64, math.MaxInt64}[s.IntN(5)] }
func floats(s sample) float64 {
	return []float64{0, 0.5, -1e300, math.Inf(1), math.SmallestNonzeroFloat64}[s.IntN(5)]
}

func points[N int64 | float64](s sample, value func(sample) N) (list []metricdata.DataPoint[N]) {
	for range s.IntN(5) {
		list = append(
			list,
			metricdata.DataPoint[N]{
				Attributes: s.set(), StartTime: s.time(), Time: s.time(), Value: value(s),
				Exemplars: randomExemplars(s, value),
			},
		)
	}
	return list
}

func randomExemplars[N int64 | float64](s sample, value func(sample) N) (list []metricdata.Exemplar[N]) {
	for range s.IntN(3) {
		set := s.set()
		list = append(list, metricdata.Exemplar[N]{
			FilteredAttributes: set.ToSlice(), Time: s.time(), Value: value(s),
			SpanID: make([]byte, 8*s.IntN(2)), TraceID: make([]byte, 16*s.IntN(2)),
		})
	}
	return list
}

func (s sample) data() metricdata.Aggregation {
	t := []metricdata.Temporality{metricdata.CumulativeTemporality, metricdata.DeltaTemporality}[s.IntN(2)]
	switch s.IntN(6) {
	case 0:
		return metricdata.Gauge[int64]{DataPoints: points(s, ints)}
	case 1:
		return metricdata.Gauge[float64]{DataPoints: points(s, floats)}
	case 2:
		return metricdata.Sum[int64]{DataPoints: points(s, ints), Temporality: t, IsMonotonic: s.IntN(2) == 0}
	case 3:
		return metricdata.Sum[float64]{DataPoints: points(s, floats), Temporality: t, IsMonotonic: s.IntN(2) == 0}
	case 4:
		h := metricdata.Histogram[float64]{Temporality: t}
		for range s.IntN(3) {
			h.DataPoints = append(h.DataPoints, metricdata.HistogramDataPoint[float64]{
				Attributes:   s.set(),
				StartTime:    s.time(),
				Time:         s.time(),
				Count:        s.Uint64() >> s.IntN(64),
				Sum:          floats(s),
				Min:          s.extrema(),
				Max:          s.extrema(),
				Bounds:       []float64{0, 1.5, 1e9}[:s.IntN(4)],
				BucketCounts: s.counts(),
				Exemplars:    randomExemplars(s, floats),
			})
		}
		return h
	}
	h := metricdata.ExponentialHistogram[float64]{Temporality: t}
	for range s.IntN(3) {
		h.DataPoints = append(h.DataPoints, metricdata.ExponentialHistogramDataPoint[float64]{
			Attributes:     s.set(),
			StartTime:      s.time(),
			Time:           s.time(),
			Count:          s.Uint64() >> s.IntN(64),
			Sum:            floats(s),
			Min:            s.extrema(),
			Max:            s.extrema(),
			Scale:          int32(s.IntN(31) - 10),
			ZeroCount:      uint64(s.IntN(2)),
			ZeroThreshold:  float64(s.IntN(2)),
			PositiveBucket: metricdata.ExponentialBucket{Offset: int32(s.IntN(5) - 2), Counts: s.counts()},
			NegativeBucket: metricdata.ExponentialBucket{Offset: int32(s.IntN(5) - 2), Counts: s.counts()},
			Exemplars:      randomExemplars(s, floats),
		})
	}
	return h
}

func (s sample) collection() *metricdata.ResourceMetrics {
	set := s.set()
	rm := &metricdata.ResourceMetrics{
		Resource: resource.NewWithAttributes([]string{"", "https://schema"}[s.IntN(2)], set.ToSlice()...),
	}
	for range s.IntN(4) {
		scope := metricdata.ScopeMetrics{Scope: instrumentation.Scope{
			Name:       []string{"", "scope"}[s.IntN(2)],
			Version:    []string{"", "1"}[s.IntN(2)],
			SchemaURL:  []string{"", "https://other"}[s.IntN(2)],
			Attributes: s.set(),
		}}
		for range s.IntN(5) {
			scope.Metrics = append(scope.Metrics, metricdata.Metrics{
				Name:        "metric",
				Description: string(make([]byte, s.IntN(200))),
				Unit:        []string{"", "s"}[s.IntN(2)],
				Data:        s.data(),
			})
		}
		rm.ScopeMetrics = append(rm.ScopeMetrics, scope)
	}
	return rm
}

// Encode returns the request that OpenTelemetry's exporter sends, and the number of its points.
func TestEncodeMatchesExporter(t *testing.T) {
	for seed := range uint64(300) {
		rm := sample{rand.New(rand.NewPCG(seed, 0))}.collection()
		b, err := Encode(rm)
		if err != nil {
			t.Fatal(err)
		}
		got := new(metricspb.ExportMetricsServiceRequest)
		if err := proto.Unmarshal(b.Data, got); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if want := exported(t, rm); !proto.Equal(got, want) {
			t.Fatalf("seed %d: got\n%v\nwant\n%v", seed, got, want)
		}
		if n, err := Inspect(Metrics, b.Data); err != nil || n != b.Points {
			t.Fatalf("seed %d: Inspect = %d, %v, want the %d points of Encode", seed, n, err, b.Points)
		}
	}
}

// Encode replaces invalid UTF-8, and returns an error for data that it cannot encode.
func TestEncodeUnusualData(t *testing.T) {
	number := func(kv attribute.KeyValue) *metricdata.ResourceMetrics {
		return &metricdata.ResourceMetrics{
			Resource: resource.Empty(),
			ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{
				{
					Name: "m",
					Data: metricdata.Gauge[int64]{
						DataPoints: []metricdata.DataPoint[int64]{{Attributes: attribute.NewSet(kv)}},
					},
				},
			}}},
		}
	}
	b, err := Encode(number(attribute.String("name", "a\xffb")))
	got := new(metricspb.ExportMetricsServiceRequest)
	if err != nil || proto.Unmarshal(b.Data, got) != nil {
		t.Fatalf("invalid UTF-8: got error %v and %v", err, got)
	}
	p := got.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetGauge().GetDataPoints()[0]
	if v := p.GetAttributes()[0].GetValue().GetStringValue(); v != "a\uFFFDb" {
		t.Errorf("invalid UTF-8: got %q, want U+FFFD in its place", v)
	}
	if _, err := Encode(number(attribute.Int64Slice("n", []int64{1}))); err == nil {
		t.Error("Encode accepted an attribute with a list of integers")
	}
	rm := number(attribute.Int("n", 1))
	rm.ScopeMetrics[0].Metrics[0].Data = metricdata.Summary{}
	if _, err := Encode(rm); err == nil {
		t.Error("Encode accepted a summary")
	}
	rm.ScopeMetrics[0].Metrics[0].Data = metricdata.Sum[int64]{}
	if _, err := Encode(rm); err == nil {
		t.Error("Encode accepted a sum without a temporality")
	}
}
