package e2e

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// The metrics that arrive at a real Collector match the table of metrics, and have the resource
// that the settings specify.
func TestPlaintext(t *testing.T) {
	c := startCollector(t, "")
	start(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.addr, "OTEL_METRIC_EXPORT_INTERVAL=200",
		"OTEL_EXPORTER_OTLP_HEADERS=x-tenant=blue%20team",
		"OTEL_RESOURCE_ATTRIBUTES=k8s.pod.name=web-7,deployment.environment.name=a%2Cb", "OTEL_SERVICE_NAME=edge",
	})
	batches := c.awaitBatches(t, 3)
	rows := map[string]*catalog.Metric{}
	catalog.Each(func(_ *catalog.Group, m *catalog.Metric) { rows[m.Name] = m })
	for _, p := range batches[2] {
		checkPoint(t, p, rows[p.Metric])
	}
	for _, name := range []string{"system.cpu.time", "system.memory.usage", "process.cpu.time", "go.goroutine.count", "poolgauge.source.success"} {
		if len(find(batches[2], name)) == 0 {
			t.Errorf("no point of %s arrived", name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tenant != "blue team" {
		t.Errorf("header x-tenant arrived as %q, want \"blue team\"", c.tenant)
	}
}

func checkPoint(t *testing.T, p otlptest.Point, row *catalog.Metric) {
	t.Helper()
	if row == nil {
		t.Errorf("%s is not in the table of metrics", p.Metric)
		return
	}
	if p.Unit != row.Unit {
		t.Errorf("%s has the unit %q, want %q", p.Metric, p.Unit, row.Unit)
	}
	wantTemporality := metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	if row.Kind == catalog.Gauge {
		wantTemporality = metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_UNSPECIFIED
	}
	if p.Temporality != wantTemporality {
		t.Errorf("%s is %v, want %v", p.Metric, p.Temporality, wantTemporality)
	}
	for key, want := range map[string]string{"service.name": "edge", "k8s.pod.name": "web-7", "deployment.environment.name": "a,b", "os.type": "linux"} {
		if p.Resource[key] != want {
			t.Errorf("%s has the resource attribute %s=%q, want %q", p.Metric, key, p.Resource[key], want)
		}
	}
	if p.Resource["host.name"] == "" {
		t.Errorf("%s has no host.name", p.Metric)
	}
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("collector")
	c := startCollector(t, `, tls: {cert_file: "`+cert+`", key_file: "`+key+`"}`)
	start(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + c.addr,
		"OTEL_METRIC_EXPORT_INTERVAL=200",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=" + ca.file,
	})
	c.awaitBatches(t, 2)
}

func TestMutualTLS(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("collector")
	c := startCollector(t, `, tls: {cert_file: "`+cert+`", key_file: "`+key+`", client_ca_file: "`+ca.file+`"}`)
	env := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + c.addr,
		"OTEL_METRIC_EXPORT_INTERVAL=200",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=" + ca.file,
	}
	withoutCert := start(t, env)
	withoutCert.awaitLog("upstream is not accepting")

	cert, key = ca.issue("sidecar")
	start(
		t,
		append(
			env,
			"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="+cert,
			"OTEL_EXPORTER_OTLP_CLIENT_KEY="+key,
			"OTEL_SERVICE_NAME=known",
		),
	)
	for _, batch := range c.awaitBatches(t, 2) {
		if name := batch[0].Resource["service.name"]; name != "known" {
			t.Errorf("points of %q arrived without a certificate", name)
		}
	}
}

// An upstream whose CA is not trusted receives nothing. The log says why, once, and sampling
// continues.
func TestUntrustedCA(t *testing.T) {
	cert, key := newAuthority(t, "theirs").issue("collector")
	c := startCollector(t, `, tls: {cert_file: "`+cert+`", key_file: "`+key+`"}`)
	s := start(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + c.addr, "OTEL_METRIC_EXPORT_INTERVAL=200",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=" + newAuthority(t, "ours").file,
	})
	s.awaitLog("unknown authority")
	if code, _ := s.terminate(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	if n := s.count("unknown authority"); n != 1 {
		t.Errorf("\"unknown authority\" was logged %d times, want once", n)
	}
	if len(c.batches) != 0 {
		t.Error("points arrived at an upstream that is not trusted")
	}
}

// With a preference for deltas, every counter's points cover the time since the previous point, and
// up-down counters stay cumulative.
func TestDelta(t *testing.T) {
	u := newUpstream()
	r := u.listen(t, "127.0.0.1:0", nil)
	start(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.Addr, "OTEL_METRIC_EXPORT_INTERVAL=100",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta",
	})
	batches := u.awaitBatches(t, 3)
	before, now := find(
		batches[1],
		"system.cpu.time",
		"cpu.mode",
		"idle",
	), find(
		batches[2],
		"system.cpu.time",
		"cpu.mode",
		"idle",
	)
	if len(before) != 1 || len(now) != 1 {
		t.Fatalf("%d and %d points of idle time, want one each", len(before), len(now))
	}
	if now[0].Temporality != metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA ||
		!now[0].Start.Equal(before[0].Time) {
		t.Errorf("%v from %v, want DELTA from %v", now[0].Temporality, now[0].Start, before[0].Time)
	}
	for _, p := range find(batches[2], "system.memory.limit") {
		if p.Temporality != metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
			t.Errorf("system.memory.limit is %v, want CUMULATIVE", p.Temporality)
		}
	}
}

// spy records how requests were compressed.
type spy struct {
	stats.Handler
	compression atomic.Value
}

func (*spy) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (*spy) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (*spy) HandleConn(context.Context, stats.ConnStats) {}

func (s *spy) HandleRPC(_ context.Context, e stats.RPCStats) {
	if header, ok := e.(*stats.InHeader); ok {
		s.compression.Store(header.Compression)
	}
}

func TestGzip(t *testing.T) {
	u, s := newUpstream(), &spy{}
	r := u.listen(t, "127.0.0.1:0", nil, grpc.StatsHandler(s))
	start(t, nil, "--otlp-endpoint=http://"+r.Addr, "--otlp-compression=gzip")
	batch := u.awaitBatches(t, 1)[0]
	if got := s.compression.Load(); got != "gzip" {
		t.Errorf("compression %q, want gzip", got)
	}
	if !slices.ContainsFunc(batch, func(p otlptest.Point) bool { return strings.HasPrefix(p.Metric, "system.") }) {
		t.Error("no point of a system metric arrived")
	}
}

// A flag takes precedence over the variable of the same setting, even if OpenTelemetry's own code
// would read the variable.
func TestFlagsTakePrecedenceOverVariables(t *testing.T) {
	u, s := newUpstream(), &spy{}
	r := u.listen(t, "127.0.0.1:0", nil, grpc.StatsHandler(s))
	start(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_SERVICE_NAME=variable", "OTEL_RESOURCE_ATTRIBUTES=from.variable=1",
	}, "--otlp-endpoint=http://"+r.Addr, "--otlp-compression=none", "--service-name=flag", "--resource-attributes=from.flag=1")
	resource := u.awaitBatches(t, 1)[0][0].Resource
	if got := s.compression.Load(); got != "" {
		t.Errorf("compression %q, want none", got)
	}
	if resource["service.name"] != "flag" || resource["from.flag"] != "1" {
		t.Errorf("the resource does not match the flags: %v", resource)
	}
	if _, found := resource["from.variable"]; found {
		t.Error("the resource has an attribute from a variable that a flag overrides")
	}
}
