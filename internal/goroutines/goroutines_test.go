package goroutines

import (
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Goroutines that wait for a channel are counted as waiting, and the one that collects as running.
func TestStates(t *testing.T) {
	const waiters = 500
	release := make(chan struct{})
	defer close(release)
	started := make(chan struct{})
	for range waiters {
		go func() {
			started <- struct{}{}
			<-release
		}()
		<-started
	}
	reader := sdk.NewManualReader()
	if err := Start(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")); err != nil {
		t.Fatal(err)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, p := range rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints {
		state, _ := p.Attributes.Value(catalog.GoroutineStateKey)
		got[state.AsString()] = p.Value
	}
	// The last of them may not be at its channel yet.
	if len(got) != len(states) || got["waiting"] < waiters-1 || got["waiting"] > waiters+100 || got["running"] < 1 || got["running"] > 100 {
		t.Errorf("got %v, want %d waiting and some running", got, waiters)
	}
}
