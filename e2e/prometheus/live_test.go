package prometheus

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// patience is how long the test waits for data. Only a failing test waits that long.
const patience = 90 * time.Second

// The example service sends OTLP to the real sidecar, which relays it, and the metrics of both
// arrive in one Prometheus. Every query whose series exist on this machine finds data. Other
// queries, such as those about a quota or the pressure of cgroups, are covered by the test of a
// healthy pod, as is the age of an empty queue.
func TestTheRealSidecarAndTheExampleService(t *testing.T) {
	e := startEngine(t)
	s := startStack(t, e)
	go s.load(t, 100, patience)
	awaitData(t, e)
	s.stop()

	now := time.Now()
	has := func(s *parser.VectorSelector) bool {
		return s.Name != promql.Name(catalog.RelayQueueAge) && hasData(t, e, s.String(), now)
	}
	for file, d := range dashboards(t) {
		checkData(t, e, file, d, now, "30s", has)
	}
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
		if !getsData(t, e, query, deadline) {
			t.Fatalf("no data for %s", query)
		}
	}
}

// getsData reports whether a query has data now or at any later time before the deadline.
func getsData(t *testing.T, e *engine.Engine, query string, deadline time.Time) bool {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !hasData(t, e, query, time.Now()) {
		if <-tick.C; time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Every name that is sent is in the table of metrics, and at least three quarters of the names in
// the table are sent.
func TestNamesOnTheWire(t *testing.T) {
	exports := timeline(t, pod{app: calm.run, world: healthy(), until: time.Minute})
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
			t.Errorf("%s is not in the table of metrics", name)
		}
	}
	if len(v) < len(known)*3/4 {
		t.Errorf("%d of %d metrics arrived, want at least three quarters", len(v), len(known))
	}
}
