package live

import (
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// The picture has every probe of the catalog that has a target, in the catalog's order.
func TestEveryProbeWithATargetIsShown(t *testing.T) {
	o := &own{at: time.Unix(1000, 0), metrics: map[string]*metricdata.Sum[float64]{}}
	for _, name := range slices.Backward(catalog.ProbeNames) {
		o.add(catalog.ProbeRuns, 1, catalog.ProbeNameKey.String(name), catalog.ProbeTargetKey.String("there"))
	}
	m := newMachine()
	m.advance(o.collection(), "")
	var shown []string
	for _, p := range m.shown.Probes {
		shown = append(shown, p.Name)
	}
	if !slices.Equal(shown, catalog.ProbeNames) {
		t.Errorf("shown are %q, want %q", shown, catalog.ProbeNames)
	}
}
