package instruments

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Every metric in the catalog becomes the instrument that its row describes, observed or recorded.
func TestRowsBecomeTheirInstruments(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	observed, recorded := rowsByUse()
	observables, err := NewObservables(meter, observed...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, m := range observed {
			if m.Number == catalog.Int {
				observables.Int(o, m, 3)
			} else {
				observables.Float(o, m, 3)
			}
		}
		return nil
	}, observables.All...); err != nil {
		t.Fatal(err)
	}
	recorders, err := NewRecorders(meter, recorded...)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range recorded {
		recorders[m](context.Background(), 3, metric.WithAttributes())
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	got := map[string]metricdata.Metrics{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		got[m.Name] = m
	}
	for _, m := range append(observed, recorded...) {
		made := got[m.Name]
		if made.Unit != m.Unit || made.Description != m.Help || kindOf(made.Data) != m.Kind {
			t.Errorf(
				"%s: got a %v with unit %q and description %q, listed as a %v with unit %q",
				m.Name,
				kindOf(made.Data),
				made.Unit,
				made.Description,
				m.Kind,
				m.Unit,
			)
		}
	}
}

// rowsByUse divides the catalog's rows: those of probes and all histograms are recorded, and the
// others are observed.
func rowsByUse() (observed, recorded []*catalog.Metric) {
	catalog.Each(func(g *catalog.Group, m *catalog.Metric) {
		if g == catalog.Probe || m.Kind == catalog.Histogram {
			recorded = append(recorded, m)
		} else {
			observed = append(observed, m)
		}
	})
	return observed, recorded
}

func kindOf(data metricdata.Aggregation) catalog.Kind {
	monotonic := func(m bool) catalog.Kind {
		if m {
			return catalog.Counter
		}
		return catalog.UpDownCounter
	}
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		return monotonic(d.IsMonotonic)
	case metricdata.Sum[float64]:
		return monotonic(d.IsMonotonic)
	case metricdata.Histogram[float64]:
		return catalog.Histogram
	default:
		return catalog.Gauge
	}
}

func TestUnsupportedKindsAreErrors(t *testing.T) {
	meter := sdkmetric.NewMeterProvider().Meter("test")
	if _, err := NewObservables(meter, catalog.ProbeDuration); err == nil {
		t.Error("NewObservables accepted a histogram")
	}
	if _, err := NewRecorders(meter, catalog.PoolUsage); err == nil {
		t.Error("NewRecorders accepted an up-down counter")
	}
}
