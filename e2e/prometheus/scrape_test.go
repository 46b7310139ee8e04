package prometheus

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/model"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// scrapeConfig is the configuration in docs/route.md for a Prometheus without an operator.
const scrapeConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - {job_name: poolgauge, honor_labels: true, scrape_native_histograms: %t}
`

// A scrape of the sidecar's page is equivalent to OTLP: it has the same series with the same
// labels, the same counts and quantiles, and data for every panel and rule. A scrape in the text
// format has explicit buckets.
func TestScrape(t *testing.T) {
	overOTLP := startEngine(t)
	s := startStack(t, overOTLP)
	go s.load(t, 100, patience)
	scraped := map[bool]*engine.Engine{true: startEngine(t), false: startEngine(t)}
	for native, e := range scraped {
		stop, err := e.Scrape(fmt.Sprintf(scrapeConfig, native), "poolgauge", s.page)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
	awaitData(t, overOTLP)
	checkMetrics(t, "http://"+s.page+"/metrics")
	awaitData(t, scraped[true])
	samePanels(t, overOTLP, scraped, time.Now())
	sameSeries(t, overOTLP, scraped[true])
	for _, q := range []float64{0.5, 0.95, 0.99} {
		sameValue(
			t,
			overOTLP,
			scraped[true],
			fmt.Sprintf(`histogram_quantile(%v, sum(poolgauge_pool_use_duration_seconds))`, q),
		)
	}
	s.stop()
}

// samePanels checks that every query of the panels and every selector of the rules that has data
// over OTLP has data when scraped.
func samePanels(t *testing.T, overOTLP *engine.Engine, scraped map[bool]*engine.Engine, at time.Time) {
	t.Helper()
	queries := map[string]string{}
	for file, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				queries[interpolate(d, target.Expr, "30s")] = file + ": " + p.Title
			}
		}
	}
	groups, err := overOTLP.Rules(t.Context(), deploy+"/prometheus/rules.yaml", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, r := range g.Rules() {
			for _, v := range selectors(t, r.Query().String()) {
				v.OriginalOffset = 0
				queries[v.String()] = "rule " + r.Name()
			}
		}
	}
	with := 0
	for query, of := range queries {
		if !hasData(t, overOTLP, query, at) {
			continue // not on this machine, or not in this app
		}
		with++
		for native, e := range scraped {
			// In the text format, a histogram has explicit buckets, under another name. Panels
			// accept both, and so do the rules, with two selectors.
			if strings.HasPrefix(of, "rule ") && !native {
				continue
			}
			// Some data is temporary, such as that of a queue that is not empty.
			if !hasData(t, e, query, at) && !getsData(t, e, query, time.Now().Add(patience)) &&
				hasData(t, overOTLP, query, time.Now()) {
				t.Errorf("%s has no data when scraped (native %t): %s", of, native, query)
			}
		}
	}
	if t.Logf("%d of %d queries have data", with, len(queries)); with < len(queries)/2 {
		t.Error("fewer than half of the queries have data")
	}
}

// sameSeries waits until both engines have the same recent series, with the same labels. A new
// series may so far have arrived by only one route, and on a busy machine, a scrape may time out.
// Gauges that are absent at times, such as the age of the oldest waiting request, may be missing
// from either engine.
func sameSeries(t *testing.T, overOTLP, scraped *engine.Engine) {
	t.Helper()
	temporary := map[string]bool{}
	rows(func(_ *catalog.Group, m *catalog.Metric) {
		temporary[promql.Name(m)] = m.Absent != "" && m.Kind == catalog.Gauge
	})
	without := func(other, of map[string]string) (missing []string) {
		for series, name := range of {
			if other[series] == "" && !temporary[name] {
				missing = append(missing, series)
			}
		}
		return missing
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		now := time.Now()
		want, got := recentSeries(t, overOTLP, now), recentSeries(t, scraped, now)
		notScraped, only := without(got, want), without(want, got)
		if len(want) > 0 && len(notScraped)+len(only) == 0 {
			t.Logf("%d series over OTLP, %d scraped", len(want), len(got))
			return
		}
		if now.After(deadline) {
			t.Errorf("%d series over OTLP, %d scraped", len(want), len(got))
			t.Errorf("not scraped: %s", strings.Join(notScraped, "\n"))
			t.Errorf("scraped only: %s", strings.Join(only, "\n"))
			return
		}
	}
}

// recentSeries returns the names of metrics by series, without the series that only OTLP or only a
// scrape adds.
func recentSeries(t *testing.T, e *engine.Engine, at time.Time) map[string]string {
	t.Helper()
	v, err := e.Instant(t.Context(), `{__name__=~".+"}`, at)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range v {
		name := s.Metric.Get(model.MetricNameLabel)
		if name != "target_info" && name != "up" && !strings.HasPrefix(name, "scrape_") {
			found[s.Metric.String()] = name
		}
	}
	return found
}

// sameValue waits until a query has the same value in both engines, within 5%, since one of them
// may be a collection ahead of the other.
func sameValue(t *testing.T, overOTLP, scraped *engine.Engine, query string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		now := time.Now()
		want, got := value(t, overOTLP, query, now), value(t, scraped, query, now)
		if math.Abs(got-want) <= 0.05*want {
			return
		}
		if now.After(deadline) {
			t.Errorf("%s is %v scraped, %v over OTLP", query, got, want)
			return
		}
	}
}

// value returns the value of a query at the given time, or NaN if there is none.
func value(t *testing.T, e *engine.Engine, query string, at time.Time) float64 {
	t.Helper()
	v, err := e.Instant(t.Context(), query, at)
	if err != nil || len(v) > 1 {
		t.Fatalf("%s: got %v, %v, want at most one value", query, v, err)
	}
	if len(v) == 0 {
		return math.NaN()
	}
	return v[0].F
}

// checkMetrics runs the checks of `promtool check metrics` on a scrape in text.
func checkMetrics(t *testing.T, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	problems, err := promlint.New(answer.Body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	// names defined by OpenTelemetry, which dashboards use
	standard := []string{"go_goroutine_count", "process_thread_count", "system_cpu_logical_count"}
	for _, p := range problems {
		if slices.Contains(standard, p.Metric) && strings.Contains(p.Text, "_count") {
			continue
		}
		t.Errorf("promtool check metrics: %s: %s", p.Metric, p.Text)
	}
}
