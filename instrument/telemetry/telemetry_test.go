package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/telemetry"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/otlptest"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestMain(m *testing.M) {
	otel.SetMeterProvider(noop.NewMeterProvider()) // so that the first Start behaves like later ones
	goleak.VerifyTestMain(m)
}

// start calls Start for a test with one pool.
func start(t *testing.T, opts ...telemetry.Option) func(context.Context) error {
	t.Helper()
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "3600000") // only shutdown exports
	t.Cleanup(func() { otel.SetMeterProvider(noop.NewMeterProvider()) })
	shutdown, err := telemetry.Start(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shutdown(context.Background()) })
	r, err := instrument.Observe("uploads", "semaphore", pooltest.Full)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return shutdown
}

// receive starts a receiver at addr, and returns its actual address and the requests that it gets.
func receive(t *testing.T, addr string) (actual string, got <-chan *otlptest.Request) {
	t.Helper()
	requests := make(chan *otlptest.Request, 10)
	r, err := otlptest.Start(addr, func(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
		requests <- r
		return &otlptest.Response{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r.Addr, requests
}

// The metrics of pools and of the runtime are exported, and no others.
func TestExportsPoolsAndRuntime(t *testing.T) {
	addr, requests := receive(t, "127.0.0.1:0")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
	if err := start(t)(t.Context()); err != nil {
		t.Fatal(err)
	}
	arrived := map[string]bool{}
	for p := range otlptest.Points(<-requests) {
		arrived[p.Metric] = true
		if strings.HasPrefix(p.Metric, "poolgauge.pool.") && p.Attributes[string(catalog.PoolNameKey)] != "uploads" {
			t.Errorf("%s: got attributes %v, want the name of the pool", p.Metric, p.Attributes)
		}
	}
	// The first is unknown without a memory limit, the second because the pool is new.
	unknown := []string{"go.memory.limit", catalog.PoolLimitRecommended.Name}
	for _, m := range append(catalog.Pool.Metrics, catalog.Runtime.Metrics...) {
		if !arrived[m.Name] && !slices.Contains(unknown, m.Name) {
			t.Errorf("%s was not exported", m.Name)
		}
		delete(arrived, m.Name)
	}
	for name := range arrived {
		t.Errorf("%s was exported, but is in neither group of the catalog", name)
	}
}

func TestResourceDescribesTheProgram(t *testing.T) {
	addr, requests := receive(t, "127.0.0.1:0")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", addr)
	t.Setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
	t.Setenv("OTEL_SERVICE_NAME", "shop")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=checkout%20a,service.name=other")
	shutdown := start(
		t,
		telemetry.WithAttributes(
			attribute.String("service.name", "mine"),
			attribute.String("team", "mine"),
			attribute.String("tier", "2"),
		),
	)
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var resource map[string]string
	for p := range otlptest.Points(<-requests) {
		resource = p.Resource
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"service.name": "shop", "team": "checkout a", "tier": "2", "host.name": host} {
		if resource[key] != want {
			t.Errorf("got %s=%q, want %q", key, resource[key], want)
		}
	}
	if !strings.Contains(resource["process.pid"], strconv.Itoa(os.Getpid())) {
		t.Errorf("got process.pid=%q, want %d", resource["process.pid"], os.Getpid())
	}
	for _, key := range []string{"service.instance.id", "os.type", "process.runtime.version", "telemetry.sdk.name"} {
		if resource[key] == "" {
			t.Errorf("%s is missing from %v", key, resource)
		}
	}
	for key := range resource {
		if strings.HasPrefix(key, "process.command") {
			t.Errorf("the resource contains %s, which may contain secrets", key)
		}
	}
}

func TestExportsToAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, requests := receive(t, "unix:"+path)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "unix://"+path)
	if err := start(t)(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := otlptest.Count(<-requests); n == 0 {
		t.Error("got a request without points")
	}
}

func TestExportsOverHTTP(t *testing.T) {
	requests := make(chan *otlptest.Request, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := new(otlptest.Request)
		if err := errors.Join(err, proto.Unmarshal(body, request)); err != nil || r.URL.Path != "/v1/metrics" {
			http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		}
		requests <- request
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	if err := start(t)(t.Context()); err != nil {
		t.Fatal(err)
	}
	if useDuration(<-requests).GetExponentialHistogram() == nil {
		t.Error("use durations were not exported as an exponential histogram")
	}
}

// useDuration returns the metric for the durations of uses in r, or nil.
func useDuration(r *otlptest.Request) *metricpb.Metric {
	for _, rm := range r.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				if m.GetName() == catalog.PoolUseDuration.Name {
					return m
				}
			}
		}
	}
	return nil
}

// Pools are reported through the MeterProvider if the settings request something that a Producer
// does not support.
func TestSettingsSelectHistogramType(t *testing.T) {
	for _, c := range []struct {
		name, given string
		explicit    bool
		temporality metricpb.AggregationTemporality
	}{
		{"", "", false, metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE},
		{"DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram", true, metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE},
		{"TEMPORALITY_PREFERENCE", "delta", true, metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA},
	} {
		t.Run(c.given, func(t *testing.T) {
			addr, requests := receive(t, "127.0.0.1:0")
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
			t.Setenv("OTEL_EXPORTER_OTLP_METRICS_"+c.name, c.given)
			if err := start(t)(t.Context()); err != nil {
				t.Fatal(err)
			}
			m := useDuration(<-requests)
			temporality := m.GetExponentialHistogram().
				GetAggregationTemporality() +
				m.GetHistogram().
					GetAggregationTemporality()
			if (m.GetHistogram() != nil) != c.explicit || temporality != c.temporality {
				t.Errorf("explicit buckets: want %v, temporality: want %v, got %v", c.explicit, c.temporality, m)
			}
		})
	}
}

func TestNothingStartsWhenDisabled(t *testing.T) {
	before := otel.GetMeterProvider()
	for name, given := range map[string]string{"OTEL_METRICS_EXPORTER": "none", "OTEL_SDK_DISABLED": "true"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, given)
			for range 2 { // nothing is started, so a second Start is not an error
				shutdown, err := telemetry.Start(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if otel.GetMeterProvider() != before {
					t.Error("the global MeterProvider was replaced")
				}
				if err := shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestStartReturnsSettingsError(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon")
	shutdown, err := telemetry.Start(t.Context())
	if want := `telemetry: OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc or http/protobuf, got "carrier pigeon"`; err == nil ||
		err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	if err := shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartTwiceIsAnError(t *testing.T) {
	addr, _ := receive(t, "127.0.0.1:0")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
	shutdown := start(t)
	if _, err := telemetry.Start(t.Context()); !errors.Is(err, telemetry.ErrStarted) {
		t.Errorf("second Start: got error %v, want ErrStarted", err)
	}
	for range 2 {
		if err := shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	again, err := telemetry.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := again(t.Context()); err != nil {
		t.Error(err)
	}
}

// A receiver that never responds does not delay shutdown beyond its context.
func TestShutdownReturnsWhenContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := otlptest.Start("127.0.0.1:0", func(ctx context.Context, _ *otlptest.Request) (*otlptest.Response, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+r.Addr)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000")
	t.Setenv("OTEL_METRIC_EXPORT_TIMEOUT", "3600000")
	if err := start(t)(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: got error %v, want context.Canceled", err)
	}
}

func TestShutdownWithoutReceiverIsAnError(t *testing.T) {
	r, err := otlptest.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+r.Addr)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := start(t)(ctx); err == nil || !strings.HasPrefix(err.Error(), "telemetry: shutdown: ") {
		t.Errorf(`shutdown: got error %v, want one that begins with "telemetry: shutdown: "`, err)
	}
}

// captureErrors returns a channel that receives the errors passed to otel.Handle during a test.
func captureErrors(t *testing.T) <-chan string {
	reported := make(chan string, 100)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reported <- err.Error() }))
	t.Cleanup(func() { otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) })
	return reported
}

func TestPrometheusStartsNothingAndSaysWhatToDo(t *testing.T) {
	reported := captureErrors(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	shutdown, err := telemetry.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text := <-reported; !strings.Contains(text, "OTEL_METRICS_EXPORTER=prometheus") ||
		!strings.Contains(text, "otel.SetMeterProvider") {
		t.Errorf("reported %s, want the variable and what to do", text)
	}
	if err := shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// An unreachable receiver is reported once, with what to do, and once more when it is accepting
// metrics again.
func TestOutageIsReportedOnce(t *testing.T) {
	reported := captureErrors(t)
	r, err := otlptest.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	addr := r.Addr
	r.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
	shutdown, err := telemetry.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = shutdown(context.Background()) }()
	t.Cleanup(func() { otel.SetMeterProvider(noop.NewMeterProvider()) })
	text := <-reported
	if !strings.Contains(text, addr+" is unreachable") || !strings.Contains(text, "cmd/sidecar") {
		t.Errorf("reported %s, want that %s is unreachable, and how to start the sidecar", text, addr)
	}
	_, requests := receive(t, addr)
	for text = <-reported; !strings.Contains(text, addr+" is accepting metrics again"); text = <-reported {
		if strings.Contains(text, "unreachable") {
			t.Error("the same outage was reported again")
		}
	}
	<-requests
	if err := shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
