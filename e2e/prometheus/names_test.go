package prometheus

import (
	"testing"

	"github.com/prometheus/otlptranslator"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

var kinds = map[catalog.Kind]otlptranslator.MetricType{
	catalog.Counter:       otlptranslator.MetricTypeMonotonicCounter,
	catalog.UpDownCounter: otlptranslator.MetricTypeNonMonotonicCounter,
	catalog.Gauge:         otlptranslator.MetricTypeGauge,
	catalog.Histogram:     otlptranslator.MetricTypeHistogram,
}

// rows calls f for every row of the table and of the relay's group.
func rows(f func(*catalog.Group, *catalog.Metric)) {
	seen := map[*catalog.Metric]bool{}
	visit := func(g *catalog.Group, m *catalog.Metric) {
		if !seen[m] {
			seen[m] = true
			f(g, m)
		}
	}
	catalog.Each(visit)
	for _, m := range catalog.Relay.Metrics {
		visit(catalog.Relay, m)
	}
}

func TestNamesMatchTheTranslator(t *testing.T) {
	metrics := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	labels := otlptranslator.LabelNamer{}
	rows(func(g *catalog.Group, m *catalog.Metric) {
		want, err := metrics.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: kinds[m.Kind]})
		if err != nil {
			t.Fatal(err)
		}
		if got := promql.Name(m); got != want {
			t.Errorf("Name(%s) = %s, want %s", m.Name, got, want)
		}
		for _, a := range append(append([]catalog.Attribute(nil), g.Attributes...), m.Attributes...) {
			if want, err := labels.Build(string(a.Key)); err != nil || promql.Label(a.Key) != want {
				t.Errorf("Label(%s) = %s, want %s (%v)", a.Key, promql.Label(a.Key), want, err)
			}
		}
	})
}
