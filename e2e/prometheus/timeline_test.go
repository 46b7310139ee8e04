package prometheus

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
)

// interval is how often a timeline exports.
const interval = 15 * time.Second

// export is an OTLP request of a timeline.
type export struct {
	at   time.Time
	body []byte
}

// app uses pools until ctx is done. It passes the option meters to its pools.
type app func(ctx context.Context, meters instrument.Option)

// together returns an app that runs all apps.
func together(apps ...app) app {
	return func(ctx context.Context, meters instrument.Option) {
		var running sync.WaitGroup
		for _, a := range apps {
			running.Go(func() { a(ctx, meters) })
		}
		running.Wait()
	}
}

// pod is an app and its sidecar. Either may be absent.
type pod struct {
	name        string // empty if it is the only pod
	app         app
	world       *world
	from, until time.Duration // since the start of the timeline
}

// timeline runs pods on synctest's fake clock, and returns their exports, sorted by time.
func timeline(t *testing.T, pods ...pod) []export {
	t.Helper()
	var all []export
	for _, p := range pods { // one after the other, since their pools have the same names
		synctest.Test(t, func(t *testing.T) { all = append(all, p.run(t)...) })
	}
	slices.SortStableFunc(all, func(a, b export) int { return a.at.Compare(b.at) })
	return all
}

// run runs the app's real pools and a simulated sidecar that reports p.world, and returns their
// exports.
func (p pod) run(t *testing.T) (exports []export) {
	t.Helper()
	time.Sleep(p.from)
	post := roundTrip(func(r *http.Request) {
		body, _ := io.ReadAll(r.Body) // in memory, so it cannot fail
		exports = append(exports, export{time.Now(), body})
	})
	w := p.world
	if w == nil {
		w = &world{diesAt: 1}
	}
	forApp, forSidecar := []sdkmetric.ManualReaderOption(nil), []sdkmetric.ManualReaderOption(nil)
	if !w.explicit {
		pools := producer.New()
		defer pools.Close()
		forApp, forSidecar = append(
			forApp,
			sdkmetric.WithProducer(pools),
		), append(
			forSidecar,
			sdkmetric.WithAggregationSelector(exponential),
		)
	}
	name := cmp.Or(p.name, "orders-5d4f8c7b9d-x2k7p")
	appProvider, sendApp := pipeline(t, post, identity("orders", name), forApp)
	sidecarProvider, sendSidecar := pipeline(t, post, identity("poolgauge-sidecar", name), forSidecar)
	w.start(t, sidecarProvider)
	ctx, cancel := context.WithTimeout(t.Context(), p.until-p.from)
	defer cancel()
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		if p.app != nil {
			p.app(ctx, instrument.WithMeterProvider(appProvider))
		}
	}()
	for ctx.Err() == nil {
		time.Sleep(interval)
		w.tick()
		if p.app != nil {
			sendApp()
		}
		if !w.dead() {
			sendSidecar()
		}
	}
	<-exited
	return exports
}

func exponential(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if kind == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
	}
	return sdkmetric.DefaultAggregationSelector(kind)
}

// identity returns the resource attributes of a pod's app and sidecar. All pods are on one node.
func identity(service, pod string) *resource.Resource {
	return resource.NewSchemaless(
		attribute.String(
			"service.name",
			service,
		),
		attribute.String("service.instance.id", pod),
		attribute.String("k8s.cluster.name", "test"),
		attribute.String(
			"k8s.namespace.name",
			"shop",
		),
		attribute.String("k8s.pod.name", pod),
		attribute.String("k8s.node.name", "n1"),
	)
}

// pipeline returns a provider of a service, and a function that collects and exports once.
func pipeline(
	t *testing.T,
	client http.RoundTripper,
	res *resource.Resource,
	options []sdkmetric.ManualReaderOption,
) (*sdkmetric.MeterProvider, func()) {
	t.Helper()
	reader := sdkmetric.NewManualReader(options...)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(res))
	out, err := otlpmetrichttp.New(
		t.Context(),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: client}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return provider, func() {
		var metrics metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &metrics); err != nil {
			t.Error(err)
		}
		if err := out.Export(t.Context(), &metrics); err != nil {
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
		t.Fatalf("ingesting an export: Prometheus answered %d %s", answer.Code, answer.Body)
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
