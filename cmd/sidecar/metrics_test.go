package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/logtest"
)

// ofSidecar reports whether the sidecar, not an instrumented program, emits the metrics of a group.
func ofSidecar(g *catalog.Group) bool {
	return !slices.Contains([]*catalog.Group{catalog.Pool, catalog.Run, catalog.DBClient, catalog.HTTPClient}, g)
}

// TestEmittedIsListedAndListedIsEmitted runs the whole program on this machine against a real
// receiver. Every metric that arrives has a row in the table. Every metric in the table arrives,
// unless the table says when it is absent.
func TestEmittedIsListedAndListedIsEmitted(t *testing.T) {
	// go.memory.limit is absent if there is no limit
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 40))
	upstream := startSink(t)
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer web.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	upstream.onExport = func(seen map[string]*metricspb.Metric) {
		if complete(seen) {
			cancel()
		}
	}
	var log logtest.Buffer
	code := run(ctx, []string{
		"--relay-grpc-address",
		"127.0.0.1:0",
		"--relay-http-address",
		"off",
		"--queue-dir",
		t.TempDir(),
		"--interval",
		"100ms",
		"--health-address",
		"127.0.0.1:0",
		"--otlp-endpoint",
		"http://" + upstream.address,
		"--probe-dir",
		".",
		"--probe-tcp",
		upstream.address,
		"--probe-dns",
		"localhost",
		"--probe-http",
		web.URL,
		"--probe-grpc",
		"grpc://" + upstream.address,
		"--probe-budget",
		"100",
	}, nil, io.Discard, &log)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, log.String())
	}
	rows := map[string]*catalog.Metric{}
	groups := map[string]*catalog.Group{}
	catalog.Each(func(g *catalog.Group, m *catalog.Metric) {
		rows[m.Name], groups[m.Name] = m, g
		if ofSidecar(g) && upstream.seen[m.Name] == nil && !mayBeAbsent(t, g, m) {
			t.Errorf("%s is listed but was not emitted", m.Name)
		}
	})
	for name, m := range upstream.seen {
		if rows[name] == nil {
			t.Errorf("%s was emitted but is not listed", name)
			continue
		}
		checkRow(t, groups[name], rows[name], m)
	}
}

// complete reports whether all probes, the phases listed below and the exporter's own metrics were
// seen.
func complete(seen map[string]*metricspb.Metric) bool {
	text := seen[catalog.ProbeDuration.Name].String()
	for _, want := range append([]string{"sync", "read", "response", "lookup"}, catalog.ProbeNames...) {
		if !strings.Contains(text, `"`+want+`"`) {
			return false
		}
	}
	// The exporter's own metrics are first sent in the second export.
	return seen[catalog.ExportDuration.Name] != nil && seen[catalog.ProbeParallelism.Name] != nil
}

// mayBeAbsent reports whether a metric may be absent on this machine, because the table says when
// it is absent, or because it needs a container and the collector's fixtures emit it.
func mayBeAbsent(t *testing.T, g *catalog.Group, m *catalog.Metric) bool {
	if runtime.GOOS != "linux" || m.Absent != "" {
		return true
	}
	return g == catalog.Container && emittedByFixture(t, m)
}

func emittedByFixture(t *testing.T, m *catalog.Metric) bool {
	t.Helper()
	files, err := filepath.Glob("../../collector/source/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures in collector/source/testdata (error: %v)", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, want, _ := strings.Cut(string(data), "-- want --\n"); strings.Contains("\n"+want, "\n"+m.Name+"{") {
			return true
		}
	}
	return false
}

// checkRow compares a metric that arrived with its row in the table.
func checkRow(t *testing.T, g *catalog.Group, row *catalog.Metric, m *metricspb.Metric) {
	t.Helper()
	if m.GetUnit() != row.Unit {
		t.Errorf("%s: unit %q, listed %q", row.Name, m.GetUnit(), row.Unit)
	}
	if g != catalog.Runtime && m.GetDescription() != row.Help {
		t.Errorf("%s: description %q, listed %q", row.Name, m.GetDescription(), row.Help)
	}
	var kind catalog.Kind
	var points []*metricspb.NumberDataPoint
	var attributes [][]*commonpb.KeyValue
	switch data := m.GetData().(type) {
	case *metricspb.Metric_Gauge:
		kind, points = catalog.Gauge, data.Gauge.GetDataPoints()
	case *metricspb.Metric_Sum:
		kind, points = catalog.UpDownCounter, data.Sum.GetDataPoints()
		if data.Sum.GetIsMonotonic() {
			kind = catalog.Counter
		}
	case *metricspb.Metric_ExponentialHistogram:
		kind = catalog.Histogram
		for _, p := range data.ExponentialHistogram.GetDataPoints() {
			attributes = append(attributes, p.GetAttributes())
		}
	default:
		t.Errorf("%s: unexpected data of type %T", row.Name, data)
	}
	if kind != row.Kind {
		t.Errorf("%s: kind %v, listed %v", row.Name, kind, row.Kind)
	}
	for _, p := range points {
		if _, isInt := p.GetValue().(*metricspb.NumberDataPoint_AsInt); isInt != (row.Number == catalog.Int) {
			t.Errorf("%s: unexpected value of type %T", row.Name, p.GetValue())
		}
		attributes = append(attributes, p.GetAttributes())
	}
	for _, kvs := range attributes {
		checkAttributes(t, g, row, kvs)
	}
}

func checkAttributes(t *testing.T, g *catalog.Group, row *catalog.Metric, kvs []*commonpb.KeyValue) {
	t.Helper()
	listed := map[string][]string{}
	for _, a := range append(append([]catalog.Attribute{}, g.Attributes...), row.Attributes...) {
		listed[string(a.Key)] = append([]string{}, a.Values...)
	}
	for _, kv := range kvs {
		values, ok := listed[kv.GetKey()]
		if !ok {
			t.Errorf("%s: attribute %s is not listed", row.Name, kv.GetKey())
			continue
		}
		if len(values) > 0 && !slices.Contains(values, kv.GetValue().GetStringValue()) {
			t.Errorf("%s: %s=%s is not listed", row.Name, kv.GetKey(), kv.GetValue().GetStringValue())
		}
	}
}
