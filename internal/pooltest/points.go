package pooltest

import (
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Points returns the points of all pools, as an [instrument.Reader] reads them. Each key consists
// of the metric's name and the values of its attributes other than the group's, such as
// "poolgauge.pool.usage used". The value of a histogram is its count.
func Points(t testing.TB) map[string]float64 {
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
		if _, twice := got[key]; twice {
			t.Errorf("%s is reported twice", key)
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

// HasPoints checks that got contains the points in want. A negative value in want matches any value
// above 0.
func HasPoints(t testing.TB, got, want map[string]float64) {
	t.Helper()
	for key, w := range want {
		v, ok := got[key]
		if !ok || (w >= 0 && v != w) || (w < 0 && v <= 0) {
			t.Errorf("%s: got %v (present: %v), want %v", key, v, ok, w)
		}
	}
}

// WantPoints is like [HasPoints], but got must not contain any other points.
func WantPoints(t testing.TB, got, want map[string]float64) {
	t.Helper()
	HasPoints(t, got, want)
	for key, v := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: got %v, want no such point", key, v)
		}
	}
}
