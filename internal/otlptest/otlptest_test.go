package otlptest_test

import (
	"context"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// The points in a compressed export by the SDK equal the recorded ones.
func TestPointsOfTheSDK(t *testing.T) {
	var got []otlptest.Point
	var counted int
	r, err := otlptest.Start("127.0.0.1:0", func(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
		got, counted = slices.Collect(otlptest.Points(r)), otlptest.Count(r)
		return &otlptest.Response{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	record(t, r.Addr)

	if counted != 4 || len(got) != 4 {
		t.Fatalf("Count = %d, Points yields %d, want 4", counted, len(got))
	}
	for i, want := range []otlptest.Point{
		{Metric: "sum", Unit: "By", Value: 3},
		{Metric: "gauge", Unit: "s", Value: 0.5},
		{Metric: "explicit", Unit: "s", Value: 6, Count: 2},
		{Metric: "exponential", Unit: "s", Value: 6, Count: 2},
	} {
		p := got[i]
		if p.Metric != want.Metric || p.Unit != want.Unit || p.Value != want.Value || p.Count != want.Count {
			t.Errorf("point %d is %+v, want %+v", i, p, want)
		}
		if p.Resource["service.name"] != "s" || p.Attributes["k"] != "v" || p.Time.IsZero() || p.Time.Before(p.Start) {
			t.Errorf("point %d lacks its resource, attribute or time: %+v", i, p)
		}
	}
}

func record(t *testing.T, addr string) {
	t.Helper()
	ctx := t.Context()
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	exponential := sdkmetric.NewView(sdkmetric.Instrument{Name: "exponential"},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)),
		sdkmetric.WithView(exponential),
		sdkmetric.WithResource(resource.NewSchemaless(attribute.String("service.name", "s"))),
	)
	meter, kv := provider.Meter("m"), metric.WithAttributes(attribute.String("k", "v"))
	sum, _ := meter.Int64Counter("sum", metric.WithUnit("By"))
	sum.Add(ctx, 3, kv)
	gauge, _ := meter.Float64Gauge("gauge", metric.WithUnit("s"))
	gauge.Record(ctx, 0.5, kv)
	for _, name := range []string{"explicit", "exponential"} {
		h, _ := meter.Float64Histogram(name, metric.WithUnit("s"))
		h.Record(ctx, 2, kv)
		h.Record(ctx, 4, kv)
	}
	if err := provider.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}
