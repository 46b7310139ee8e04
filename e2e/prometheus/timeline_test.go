package prometheus

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
	"github.com/poolgauge/poolgauge/instrument/producer"
)

// interval is how often a timeline exports.
const interval = 15 * time.Second

// export is an OTLP request of a timeline.
type export struct {
	at   time.Time
	body []byte
}

// timeline runs real pools, and a sidecar that reads from a world, for hours of synctest's clock, and returns what they export.
func timeline(t *testing.T, lasting time.Duration, w *world, app func(context.Context, *sdkmetric.MeterProvider)) []export {
	t.Helper()
	var exports []export
	synctest.Test(t, func(t *testing.T) {
		post := roundTrip(func(r *http.Request) {
			body, _ := io.ReadAll(r.Body) // of memory
			exports = append(exports, export{time.Now(), body})
		})
		forApp, forSidecar := []sdkmetric.ManualReaderOption(nil), []sdkmetric.ManualReaderOption(nil)
		if !w.explicit {
			pools := producer.New()
			defer pools.Close()
			forApp, forSidecar = append(forApp, sdkmetric.WithProducer(pools)), append(forSidecar, sdkmetric.WithAggregationSelector(exponential))
		}
		appProvider, sendApp := pipeline(t, post, "orders", forApp)
		sidecarProvider, sendSidecar := pipeline(t, post, "poolgauge-sidecar", forSidecar)
		w.start(t, sidecarProvider)
		ctx, cancel := context.WithTimeout(t.Context(), lasting)
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			app(ctx, appProvider)
		}()
		for ctx.Err() == nil {
			time.Sleep(interval)
			w.tick()
			sendApp()
			if !w.dead() {
				sendSidecar()
			}
		}
		<-ended
	})
	return exports
}

func exponential(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if kind == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
	}
	return sdkmetric.DefaultAggregationSelector(kind)
}

// identity is who sends, as an app and a sidecar of one pod say it.
func identity(service string) *resource.Resource {
	return resource.NewSchemaless(
		attribute.String("service.name", service), attribute.String("service.instance.id", "orders-5d4f8c7b9d-x2k7p"),
		attribute.String("k8s.cluster.name", "test"), attribute.String("k8s.namespace.name", "shop"),
		attribute.String("k8s.pod.name", "orders-5d4f8c7b9d-x2k7p"),
	)
}

// pipeline returns a provider of a service, and a function that collects and exports once.
func pipeline(t *testing.T, client http.RoundTripper, service string, options []sdkmetric.ManualReaderOption) (*sdkmetric.MeterProvider, func()) {
	t.Helper()
	reader := sdkmetric.NewManualReader(options...)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(identity(service)))
	out, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithHTTPClient(&http.Client{Transport: client}))
	if err != nil {
		t.Fatal(err)
	}
	return provider, func() {
		var figures metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &figures); err != nil {
			t.Error(err)
		}
		if err := out.Export(t.Context(), &figures); err != nil {
			t.Error(err)
		}
	}
}

// roundTrip is an HTTP client without a network: it answers every request with 200.
type roundTrip func(*http.Request)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// ingest posts an export to the OTLP receiver.
func ingest(t *testing.T, e *engine.Engine, body []byte) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/otlp/v1/metrics", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-protobuf")
	answer := httptest.NewRecorder()
	e.OTLP.ServeHTTP(answer, r)
	if answer.Code/100 != 2 {
		t.Fatalf("Prometheus answers %d %s", answer.Code, answer.Body)
	}
}

func startEngine(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.Start(t.TempDir(), deploy+"/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
