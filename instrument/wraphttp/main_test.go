package wraphttp_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// points returns what a reader gets: the values by name of the metric and the values of its own attributes.
func points(t testing.TB) map[string]float64 {
	t.Helper()
	r := instrument.OpenReader()
	defer r.Close()
	got := map[string]float64{}
	for p := range r.Points() {
		key := p.Metric.Name
		for _, a := range p.Metric.Attributes {
			if v, ok := p.Attributes.Value(a.Key); ok {
				key += " " + v.String()
			}
		}
		switch {
		case p.Histogram != nil:
			got[key] = float64(p.Histogram.Count())
		case p.Metric.Number == catalog.Int:
			got[key] = float64(p.Int)
		default:
			got[key] = p.Float
		}
	}
	return got
}

func want(t testing.TB, got map[string]float64, want map[string]float64) {
	t.Helper()
	for key, v := range want {
		if g, ok := got[key]; !ok || g != v {
			t.Errorf("%s is %v (there: %v), want %v", key, g, ok, v)
		}
	}
}
