package prometheus

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
	"github.com/poolgauge/poolgauge/internal/catalog"
	names "github.com/poolgauge/poolgauge/internal/promql"
)

// Every query of every panel and every variable, and every selector of every rule and alert, finds
// data in a healthy pod, with native histograms and with explicit buckets.
func TestEverythingFindsDataInAHealthyPod(t *testing.T) {
	for name, explicit := range map[string]bool{"native": false, "explicit": true} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			w.explicit = explicit
			exports := timeline(t, pod{app: calm.run, world: w, until: 10 * time.Minute})
			e := startEngine(t)
			for _, x := range exports {
				ingest(t, e, x.body)
			}
			at := exports[len(exports)-1].at
			has := func(s *parser.VectorSelector) bool { return !explicit || !slices.Contains(judged, s.Name) }
			for file, d := range dashboards(t) {
				checkData(t, e, file, d, at, "1m", has)
			}
			checkRuleSelectors(t, e, at)
		})
	}
}

// judged lists the metrics of pools that only the Producer reports. They are absent with explicit
// buckets.
var judged = []string{names.Name(catalog.PoolVerdict), names.Name(catalog.PoolLimitRecommended)}

// unused lists the rows that a healthy app's pools need not emit. No caller waits, threads use no
// CPU time on a fake clock, and only wrapped pools report waits without their durations.
var unused = []*catalog.Metric{catalog.PoolPendingAge, catalog.PoolUseCPUTime, catalog.PoolWaits, catalog.PoolWaitTime}

// faulty holds the metrics in rules that only a fault or another exporter produces.
var faulty = []string{
	"pool:poolgauge_create_failed:ratio_rate5m",
	"sidecar:poolgauge_lost:increase10m",
	"kube_pod_status_phase",
}

// checkData checks that every query of d has data if all of its series exist.
func checkData(
	t *testing.T,
	e *engine.Engine,
	file string,
	d dashboard,
	at time.Time,
	rateInterval string,
	has func(*parser.VectorSelector) bool,
) {
	t.Helper()
	for _, v := range d.Templating.List {
		if v.Type == "query" && !hasData(t, e, interpolate(d, selection(v), rateInterval), at) {
			t.Errorf("%s: variable %s has no values", file, v.Name)
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := interpolate(d, target.Expr, rateInterval)
			if slices.ContainsFunc(
				selectors(t, expr),
				func(s *parser.VectorSelector) bool { return isUnused(s.Name) || !has(s) },
			) {
				continue
			}
			if !hasData(t, e, expr, at) {
				t.Errorf("%s: panel %q: no data: %s", file, p.Title, expr)
			}
		}
	}
}

func isUnused(metric string) bool {
	return slices.ContainsFunc(unused, func(m *catalog.Metric) bool { return names.Name(m) == metric })
}

// hasData reports whether the query has a result that is a number or a histogram.
func hasData(t *testing.T, e *engine.Engine, query string, at time.Time) bool {
	t.Helper()
	v, err := e.Instant(t.Context(), query, at)
	if err != nil {
		t.Errorf("evaluating a query: %v: %s", err, query)
	}
	return slices.ContainsFunc(v, func(s promql.Sample) bool { return s.H != nil || !math.IsNaN(s.F) })
}

// selectors returns the selectors of a query.
func selectors(t *testing.T, query string) []*parser.VectorSelector {
	t.Helper()
	expr, err := engine.Parser().ParseExpr(query)
	if err != nil {
		t.Fatalf("parsing a query: %v: %s", err, query)
	}
	var list []*parser.VectorSelector
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			list = append(list, v)
		}
		return nil
	})
	return list
}

// checkRuleSelectors checks that each selector of a rule has data in a healthy pod, although no
// alert fires. A histogram has either native or explicit buckets, so only one of its selectors must
// have data.
func checkRuleSelectors(t *testing.T, e *engine.Engine, at time.Time) {
	t.Helper()
	groups, err := e.Rules(t.Context(), deploy+"/prometheus/rules.yaml", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		g.Eval(t.Context(), at)
		for _, r := range g.Rules() {
			found := map[string]bool{}
			for _, v := range selectors(t, r.Query().String()) {
				name := strings.TrimSuffix(strings.TrimSuffix(v.Name, "_bucket"), "_sum")
				v.OriginalOffset = 0
				found[name] = found[name] || hasData(t, e, v.String(), at)
			}
			for name, ok := range found {
				if !ok && !isUnused(name) && !slices.Contains(faulty, name) {
					t.Errorf("rule %s: no data: %s", r.Name(), name)
				}
			}
		}
	}
}
