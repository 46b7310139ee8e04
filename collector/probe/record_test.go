package probe

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// checkAgainstCatalog fails the test for a metric that is not in the catalog, and for a point with
// an attribute that the catalog does not list.
func checkAgainstCatalog(t *testing.T, reader *sdk.ManualReader) {
	t.Helper()
	rec := recorder{reader: reader}
	for _, d := range collect(t, reader) {
		row := rowOf(d.Name)
		if row == nil {
			t.Errorf("%s is not in the catalog", d.Name)
			continue
		}
		for _, s := range rec.samples(t, row) {
			for _, kv := range s.attributes.ToSlice() {
				if !allowed(row, kv) {
					t.Errorf("%s: the catalog does not list %s=%s", d.Name, kv.Key, kv.Value.String())
				}
			}
		}
	}
}

func rowOf(name string) *catalog.Metric {
	for _, m := range catalog.Probe.Metrics {
		if m.Name == name {
			return m
		}
	}
	return nil
}

func allowed(row *catalog.Metric, kv attribute.KeyValue) bool {
	for _, a := range append(row.Attributes[:len(row.Attributes):len(row.Attributes)], catalog.Probe.Attributes...) {
		if a.Key != kv.Key {
			continue
		}
		if a.Values == nil {
			return true
		}
		for _, v := range a.Values {
			if v == kv.Value.AsString() {
				return true
			}
		}
	}
	return false
}

func TestAttributeSetsAreBuiltOnce(t *testing.T) {
	a := newAttributes("tcp", "db:5432")
	s := series{phase: "connect", errorType: "timeout"}
	a.of(s)
	if n := testing.AllocsPerRun(100, func() { a.of(s) }); n != 0 {
		t.Errorf("%v allocations per use, want 0", n)
	}
}

func TestEveryProbeMetricHasAnInstrument(t *testing.T) {
	rec := newRecorder(t)
	attrs := newAttributes("cpu", "").of(series{})
	for _, m := range catalog.Probe.Metrics {
		rec.recorders[m](t.Context(), 1, attrs)
		if got := rec.value(t, m, "poolgauge.probe.name=cpu"); got != 1 {
			t.Errorf("%s: recorded 1, collected %v", m.Name, got)
		}
	}
}
