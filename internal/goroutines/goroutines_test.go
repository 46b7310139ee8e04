package goroutines

import (
	"sync"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// contend makes 200 goroutines wait for one lock, each for about the given time. It needs that many
// because the runtime samples one wait in eight, at random.
func contend(wait time.Duration) {
	var mu sync.Mutex
	var begun, ended sync.WaitGroup
	mu.Lock()
	for range 200 {
		begun.Add(1)
		ended.Go(func() {
			begun.Done()
			mu.Lock()
			mu.Unlock() //nolint:staticcheck,gocritic // only the wait matters
		})
	}
	begun.Wait()
	time.Sleep(wait)
	mu.Unlock()
	ended.Wait()
}

// Goroutines that wait on a channel are counted as waiting, and the collecting goroutine is counted
// as running.
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
	contend(20 * time.Millisecond) // 4 s in total
	reader := sdk.NewManualReader()
	if err := Start(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")); err != nil {
		t.Fatal(err)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	waited := -1.0
	for _, m := range rm.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				state, _ := p.Attributes.Value(catalog.GoroutineStateKey)
				got[state.AsString()] = p.Value
			}
		case metricdata.Sum[float64]:
			waited = data.DataPoints[0].Value
		}
	}
	if waited < 0.5 {
		t.Errorf("goroutines waited %v s for locks, want at least 0.5 s", waited)
	}
	// The last goroutine may not have reached its channel yet.
	if len(got) != len(states) || got["waiting"] < waiters-1 || got["waiting"] > waiters+100 || got["running"] < 1 ||
		got["running"] > 100 {
		t.Errorf("got %v, want %d waiting and some running", got, waiters)
	}
}
