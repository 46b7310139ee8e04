package prometheus

import (
	"bytes"
	"context"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/otlptest"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// patience is how long the test waits for data; only a failing test waits so long.
const patience = 90 * time.Second

// The real sidecar over OTLP/gRPC, and a real app over OTLP/HTTP, report to one Prometheus. Every query whose metrics this machine has
// finds data; metrics that it has not, such as those of a quota, are covered by the healthy pod above.
func TestTheRealSidecarAndARealApp(t *testing.T) {
	e := startEngine(t)
	stopApp := startApp(t, e, load{every: 20 * time.Millisecond, use: 50 * time.Millisecond}.run)
	stopSidecar := startSidecar(t, e)
	awaitData(t, e)
	stopApp()
	stopSidecar()

	have := emitted(t, e)
	for file, d := range dashboards(t) {
		checkData(t, e, file, d, time.Now(), "30s", func(m string) bool { return have[m] })
	}
	t.Logf("%d metrics: %v", len(have), slices.Sorted(maps.Keys(have)))
}

// awaitData waits until all sources have reported often enough for a rate.
func awaitData(t *testing.T, e *engine.Engine) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, query := range []string{
		`sum(rate(poolgauge_pool_requests_total[30s])) > 0`, `sum(rate(system_cpu_time_seconds_total[30s])) > 0`,
		`sum(rate(poolgauge_probe_runs_total{poolgauge_probe_name="cpu"}[30s])) > 0`,
		`sum(rate(poolgauge_probe_runs_total{poolgauge_probe_name="parallelism"}[30s])) > 0`,
		`histogram_count(sum(rate(poolgauge_probe_duration_seconds{poolgauge_probe_phase="sync"}[30s]))) > 0`,
		`sum(rate(poolgauge_probe_runs_total{poolgauge_probe_name="tcp"}[30s])) > 0`,
	} {
		tick := time.NewTicker(100 * time.Millisecond)
		for !hasData(t, e, query, time.Now()) {
			if <-tick.C; time.Now().After(deadline) {
				t.Fatalf("no data for %s", query)
			}
		}
		tick.Stop()
	}
}

func emitted(t *testing.T, e *engine.Engine) map[string]bool {
	t.Helper()
	v, err := e.Instant(t.Context(), `group by (__name__) ({__name__=~".+"})`, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, s := range v {
		have[s.Metric.Get("__name__")] = true
	}
	return have
}

// startApp runs an app with pools, and exports them straight to Prometheus.
func startApp(t *testing.T, e *engine.Engine, app func(context.Context, *sdkmetric.MeterProvider)) (stop func()) {
	t.Helper()
	server := httptest.NewServer(e.OTLP)
	out, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL(server.URL+"/api/v1/otlp/v1/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	pools := producer.New()
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(identity("orders")),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(out, sdkmetric.WithInterval(time.Second), sdkmetric.WithProducer(pools))),
	)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		app(ctx, provider)
	}()
	return func() {
		if err := provider.ForceFlush(context.Background()); err != nil {
			t.Error(err)
		}
		cancel()
		<-ended
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		pools.Close()
		server.Close()
	}
}

// startSidecar builds and runs the sidecar. What it sends by OTLP/gRPC is posted to Prometheus as it is.
func startSidecar(t *testing.T, e *engine.Engine) (stop func()) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sidecar")
	args := []string{"build", "-C", "../..", "-tags", "grpcnotrace,nethttpomithttp2", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	if text, err := exec.Command("go", append(args, "./cmd/sidecar")...).CombinedOutput(); err != nil {
		t.Fatalf("build the sidecar: %v\n%s", err, text)
	}
	receiver, err := otlptest.Start("127.0.0.1:0", func(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
		body, err := proto.Marshal(r)
		if err == nil {
			ingest(t, e, body)
		}
		return &otlptest.Response{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "--interval=1s", "--probe-cpu-interval=1s", "--probe-parallelism-interval=2s", "--probe-disk-interval=1s",
		"--probe-tcp="+receiver.Addr, "--probe-tcp-interval=1s", "--probe-budget=50", "--health-address=off")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + receiver.Addr,
		"OTEL_RESOURCE_ATTRIBUTES=k8s.cluster.name=test,k8s.namespace.name=shop,k8s.pod.name=orders-5d4f8c7b9d-x2k7p",
	}
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the sidecar: %v\n%s", err, log.String())
		}
		receiver.Close()
	}
}

// The table and what is really sent agree on the names, both ways where the machine has the metric.
func TestNamesOnTheWire(t *testing.T) {
	exports := timeline(t, time.Minute, healthy(), calm.run)
	e := startEngine(t)
	known := map[string]bool{"target_info": true}
	rows(func(_ *catalog.Group, m *catalog.Metric) { known[promql.Name(m)] = true })
	for _, x := range exports {
		ingest(t, e, x.body)
	}
	v, err := e.Instant(t.Context(), `group by (__name__) ({__name__=~".+"})`, exports[len(exports)-1].at)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range v {
		if name := s.Metric.Get("__name__"); !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("%s is none of the table's names", name)
		}
	}
	if len(v) < len(known)*3/4 {
		t.Errorf("only %d of %d metrics arrived", len(v), len(known))
	}
}
