package prometheus

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// constant runs a semaphore with 18 of 25 permits held.
func constant(ctx context.Context, meters instrument.Option) {
	s := semaphore("uploads", 25, meters)
	defer s.Close()
	must(s.Acquire(ctx, 18))
	<-ctx.Done()
	s.Release(18)
}

// A restarted app is counted once, although Prometheus still returns the series of the previous
// instance for a while. A node is counted once, although three sidecars report it.
func TestRestartedAppsAndSharedNodesAreCountedOnce(t *testing.T) {
	const duration = 12 * time.Minute
	pods := []pod{
		{name: "a", app: constant, world: healthy(), until: 7 * time.Minute},
		{name: "b", app: constant, world: healthy(), from: 7 * time.Minute, until: 9 * time.Minute},
		{name: "c", app: constant, world: healthy(), from: 9 * time.Minute, until: duration},
		{name: "d", world: healthy(), until: duration},
		{name: "e", world: healthy(), until: duration},
	}
	exports := timeline(t, pods...)
	e := startEngine(t)
	for _, x := range exports {
		ingest(t, e, x.body)
	}
	at := exports[len(exports)-1].at.Add(-2 * interval) // before the last pod ends
	for _, want := range []struct {
		file, title string
		query       int
		value       float64
	}{
		{"pools.json", "Utilization", 0, 0.72},
		{"pools.json", "Busiest pool", 0, 0.72},
		{"pools.json", "Slots", 1, 25},
		{"fleet.json", "Pools", 0, 1},
		{"fleet.json", "Sidecars", 0, 3},
		{"host.json", "Load", 0, 1},
		{"host.json", "Memory", 0, 1}, // of the node, in the first state
		{"host.json", "CPU", 0, 0.01},
	} {
		d := dashboards(t)[want.file]
		p := d.Panels[panelAt(t, d, want.title)]
		v, err := e.Instant(t.Context(), interpolate(d, p.Targets[want.query].Expr, "4m"), at)
		if err != nil || len(v) == 0 {
			t.Errorf("%s: %s: got %v (error %v), want a value", want.file, want.title, v, err)
			continue
		}
		if got := v[0].F; math.Abs(got-want.value) > 0.02*want.value {
			t.Errorf("%s: %s is %v, want %v", want.file, want.title, got, want.value)
		}
	}
}

// panelAt returns the index of the last panel with the given title, not counting rows.
func panelAt(t *testing.T, d dashboard, title string) int {
	t.Helper()
	for i := len(d.Panels) - 1; i >= 0; i-- {
		if d.Panels[i].Title == title && d.Panels[i].Type != "row" {
			return i
		}
	}
	t.Fatalf("no panel %q", title)
	return 0
}
