package prometheus

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
)

// scrapeConfig is what docs/route.md says for a Prometheus without an operator.
const scrapeConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - {job_name: poolgauge, honor_labels: true, scrape_native_histograms: %t}
`

// What a scrape of the sidecar's page has is what comes over OTLP: the same series under the same labels, the same counts and quantiles, and data for
// every panel and rule. That of a scrape in text has explicit buckets.
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
	for native, e := range scraped {
		if native {
			awaitData(t, e)
		}
		have := emitted(t, e)
		for file, d := range dashboards(t) {
			checkData(t, e, file, d, time.Now(), "30s", func(m string) bool { return have[m] || have[m+"_bucket"] })
		}
	}
	now := time.Now()
	sameSeries(t, overOTLP, scraped[true], now)
	for q := range slices.Values([]float64{0.5, 0.95, 0.99}) {
		query := fmt.Sprintf(`histogram_quantile(%v, sum(rate(poolgauge_pool_wait_duration_seconds{poolgauge_pool_name="payments"}[20s])))`, q)
		want, got := value(t, overOTLP, query, now), value(t, scraped[true], query, now)
		if math.Abs(got-want) > 0.05*want {
			t.Errorf("%s is %v scraped, %v over OTLP", query, got, want)
		}
	}
	s.stop()
}

// sameSeries compares the labels of all series that both have been sent lately.
func sameSeries(t *testing.T, overOTLP, scraped *engine.Engine, at time.Time) {
	t.Helper()
	own := map[string]bool{"target_info": true, "up": true} // of OTLP, and of scrapes
	all := func(e *engine.Engine) map[string]bool {
		v, err := e.Instant(t.Context(), `{__name__=~".+"}`, at)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, s := range v {
			if name := s.Metric.Get(labels.MetricName); !own[name] && !strings.HasPrefix(name, "scrape_") {
				found[s.Metric.String()] = true
			}
		}
		return found
	}
	want, got := all(overOTLP), all(scraped)
	for series := range want {
		if !got[series] {
			t.Errorf("not scraped: %s", series)
		}
	}
	for series := range got {
		if !want[series] {
			t.Errorf("only scraped: %s", series)
		}
	}
	t.Logf("%d series over OTLP, %d scraped", len(want), len(got))
}

func value(t *testing.T, e *engine.Engine, query string, at time.Time) float64 {
	t.Helper()
	v, err := e.Instant(t.Context(), query, at)
	if err != nil || len(v) != 1 {
		t.Fatalf("%s: %v, %v", query, v, err)
	}
	return v[0].F
}

// checkMetrics has promtool check what a scrape in text gets.
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
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	promtool := exec.CommandContext(t.Context(), "go", "run", "github.com/prometheus/prometheus/cmd/promtool", "check", "metrics")
	promtool.Stdin = strings.NewReader(string(text))
	if said, err := promtool.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
	_ = maps.Keys[map[string]bool]
}
