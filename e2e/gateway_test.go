package e2e

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// gateway is a real OpenTelemetry Collector in this process, with the configuration of
// deploy/gateway except its addresses.
type gateway struct {
	grpc, health, metrics string // host:port
	stop                  func()
}

// startGateway starts a gateway that listens at the address grpc and sends to upstream. overrides
// is YAML that overrides the configuration in deploy/gateway.
func startGateway(t *testing.T, grpc, upstream, overrides string) *gateway {
	t.Helper()
	g := &gateway{grpc: grpc, health: freeAddress(t), metrics: freeAddress(t)}
	host, port, err := net.SplitHostPort(g.metrics)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("UPSTREAM", upstream)
	addresses := `yaml:
exporters: {otlp_http: {retry_on_failure: {initial_interval: 10ms}}}
receivers: {otlp: {protocols: {grpc: {endpoint: "` + g.grpc + `"}, http: {endpoint: "` + freeAddress(t) + `"}}}}
extensions: {health_check: {endpoint: "` + g.health + `"}}
service: {telemetry: {logs: {level: error}, metrics: {readers: [{pull: {exporter: {prometheus: {host: "` + host + `", port: ` + port + `}}}}]}}}
`
	g.stop = runCollector(
		t,
		gatewayFactories,
		[]string{"file:../deploy/gateway/config.yaml", addresses, "yaml:" + overrides},
		fileprovider.NewFactory(),
		yamlprovider.NewFactory(),
		envprovider.NewFactory(),
	)
	return g
}

func gatewayFactories() (f otelcol.Factories, err error) {
	if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return f, err
	}
	if f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](otlphttpexporter.NewFactory()); err != nil {
		return f, err
	}
	if f.Processors, err = otelcol.MakeFactoryMap[processor.Factory](memorylimiterprocessor.NewFactory()); err != nil {
		return f, err
	}
	f.Extensions, err = otelcol.MakeFactoryMap[extension.Factory](healthcheckextension.NewFactory())
	f.Telemetry = otelconftelemetry.NewFactory()
	return f, err
}

// listenAsStore serves the sink as Prometheus, Mimir and VictoriaMetrics receive OTLP: over HTTP,
// below a path. It returns the URL to use as the gateway's UPSTREAM.
func (s *sink) listenAsStore() string {
	methods := map[string]string{
		"/otlp/v1/metrics": metricsMethod,
		"/otlp/v1/traces":  tracesMethod,
		"/otlp/v1/logs":    logsMethod,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, known := methods[r.URL.Path]
		unzipped, err := gzip.NewReader(r.Body)
		if !known || err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
			s.t.Errorf(
				"unexpected request: %s %s with content type %q: %v",
				r.Method,
				r.URL,
				r.Header.Get("Content-Type"),
				err,
			)
			http.Error(w, "not OTLP", http.StatusBadRequest)
			return
		}
		data, err := io.ReadAll(unzipped)
		if err != nil {
			s.t.Error(err)
		}
		d, accounts := s.read(delivery{method: method, data: data, size: len(data)})
		if f := s.fault.Load(); f != nil {
			if _, err := (*f)(r.Context(), d); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		s.take(d, accounts)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	s.t.Cleanup(server.Close)
	return server.URL + "/otlp"
}

// Metrics, traces and logs go from a sidecar through the gateway to the store, and an outage of the
// store loses nothing. The gateway serves what deploy/gateway/gateway.yaml needs: its health, and
// the size of its queue for the autoscaler.
func TestGateway(t *testing.T) {
	store, a := newSink(t), &app{}
	g := startGateway(t, freeAddress(t), store.listenAsStore(), "")
	s := newRelay(t, g.grpc).start()
	conn := dial(t, s.target)
	for method, request := range map[string][]byte{
		tracesMethod: mustMarshal(t, &coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
			ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "checkout", TraceId: make([]byte, 16), SpanId: make([]byte, 8)}}}},
		}}}),
		logsMethod: mustMarshal(t, &collogspb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
			ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{SeverityText: "sold out"}}}},
		}}}),
	} {
		if err := invoke(t.Context(), conn, method, request); err != nil {
			t.Fatal(err)
		}
	}
	a.sendAll(t, 40, s.all()...)
	store.awaitAll(a.acknowledged())
	store.awaitMethod(tracesMethod, "checkout")
	store.awaitMethod(logsMethod, "sold out")

	refused := make(chan struct{})
	var once atomic.Bool
	outage := fault(func(context.Context, delivery) ([]byte, error) {
		if once.CompareAndSwap(false, true) {
			close(refused)
		}
		return nil, io.ErrUnexpectedEOF
	})
	store.fault.Store(&outage)
	a.sendAll(t, 40, s.all()...)
	<-refused
	get(t, "http://"+g.health+"/")
	if text := get(t, "http://"+g.metrics+"/metrics"); !strings.Contains(text, "\notelcol_exporter_queue_size{") {
		t.Errorf("no otelcol_exporter_queue_size, which the autoscaler of gateway.yaml needs:\n%s", text)
	}
	store.fault.Store(nil)
	store.awaitAll(a.acknowledged())
	store.checkOnce()
}

// A gateway that is out of memory rejects requests, as configured in its memory_limiter. The
// sidecar keeps the data and sends it to a replica that has room.
func TestGatewayOutOfMemory(t *testing.T) {
	store, a := newSink(t), &app{}
	g := startGateway(t, freeAddress(t), store.listenAsStore(),
		// less than this process uses
		"processors: {memory_limiter: {limit_percentage: 0, spike_limit_percentage: 0, limit_mib: 1}}")
	s := newRelay(t, g.grpc).start()
	ctx, stop := context.WithCancel(t.Context())
	wait := a.load(ctx, 20*time.Millisecond, s.http, s.json)
	s.awaitLog("data refused due to high memory usage") // after its check_interval
	stop()
	wait()
	g.stop()
	store.listen(g.grpc)
	store.awaitAll(a.acknowledged())
	store.checkOnce()
}

// The gateway's max_connection_age moves a sidecar to another connection, and so to replicas that
// were added later, without losing or duplicating a point.
func TestGatewayMovesConnections(t *testing.T) {
	store, a := newSink(t), &app{}
	g := startGateway(
		t,
		freeAddress(t),
		store.listenAsStore(),
		"receivers: {otlp: {protocols: {grpc: {keepalive: {server_parameters: {max_connection_age: 100ms}}}}}}",
	)
	front := newFront(t, g.grpc)
	s := newRelay(t, front.Addr().String()).start()
	for front.accepted.Load() < 5 {
		a.sendAll(t, 4, s.all()...)
		store.awaitAll(a.acknowledged())
	}
	store.checkOnce()
}

// The image in deploy/gateway has the version of the Collector that the tests run.
func TestGatewayVersion(t *testing.T) {
	manifest, err := os.ReadFile("../deploy/gateway/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, image, _ := strings.Cut(string(manifest), "image: otel/opentelemetry-collector-contrib:")
	version, _, _ := strings.Cut(image, "\n")
	if !strings.Contains(string(modules), "go.opentelemetry.io/collector/otelcol v"+version+"\n") {
		t.Errorf("gateway.yaml has version %q of the image, but go.mod requires another version", version)
	}
}

// get returns the body of the response from url. The status must be 200.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("GET %s: %s, %v", url, response.Status, err)
	}
	return string(text)
}
