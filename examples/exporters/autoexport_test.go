package exporters_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// Contrib's autoexport chooses the exporter by OTEL_METRICS_EXPORTER. It passes the Producer to the
// exporter's reader, unless OTEL_METRICS_PRODUCERS names other producers. To make that variable
// accept the name poolgauge, call RegisterMetricProducer("poolgauge", …). The default exporter
// sends http/protobuf to localhost:4318, where the sidecar listens. For the exporter prometheus,
// see Example_nativeHistograms.
func Example_autoexport() {
	pools := producer.New()
	defer pools.Close()
	autoexport.WithFallbackMetricProducer(func(context.Context) (sdkmetric.Producer, error) { return pools, nil })
	ctx := context.Background()
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	reg, err := instrument.Observe("uploads", "semaphore", pool)
	if err != nil {
		fmt.Println(err)
		return
	}
	reg.Close()
	if err := provider.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
}

// The example above exports the pool's metrics.
func TestAutoexportExportsPools(t *testing.T) {
	got := map[string]otlptest.Point{}
	receiver, err := otlptest.Start(
		"127.0.0.1:0",
		func(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
			for p := range otlptest.Points(r) {
				got[p.Metric] = p
			}
			return &otlptest.Response{}, nil
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_METRICS_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+receiver.Addr)
	_ = os.Unsetenv("OTEL_METRICS_PRODUCERS")
	Example_autoexport()
	receiver.Close()
	if got["poolgauge.pool.limit"].Value != 4 || got["poolgauge.pool.wait.duration"].Count != 10 {
		t.Errorf("received %v, want a limit of 4 and 10 waits", got)
	}
}
