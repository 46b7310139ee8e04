package collector

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The sampler collects immediately, once per interval and once more at the end. Points have the
// time of their collection.
func TestSamplerCollectsOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		gauge, err := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test").Float64ObservableGauge(
			"x", metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
				o.Observe(1)
				return nil
			}))
		if err != nil || gauge == nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var at []time.Duration
		s := NewSampler(reader, 10*time.Second, func(rm *metricdata.ResourceMetrics) {
			at = append(
				at,
				rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[float64]).DataPoints[0].Time.Sub(begin),
			)
		})
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		s.Run(ctx)
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 25 * time.Second}
		if len(at) != len(want) {
			t.Fatalf("collections at %v, want %v", at, want)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("collections at %v, want %v", at, want)
			}
		}
	})
}

func TestSamplerAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		s := NewSampler(reader, time.Second)
		time.Sleep(29 * time.Second)
		if err := s.Alive(); err != nil {
			t.Errorf("29 s after the start: %v", err)
		}
		time.Sleep(2 * time.Second)
		if s.Alive() == nil {
			t.Error("no error 31 s after the start, without a collection")
		}
		s.sample()
		if err := s.Alive(); err != nil {
			t.Errorf("just after a collection: %v", err)
		}
	})
}
