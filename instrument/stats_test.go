package instrument

import (
	"context"
	"fmt"
	"testing"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// The arrays of Stats have an element for each attribute value in the catalog, in the same order.
func TestArraysMatchCatalog(t *testing.T) {
	var s Stats
	for m, n := range map[*catalog.Metric]int{
		catalog.PoolUsage:        len(s.Usage),
		catalog.PoolRequests:     len(s.Requests),
		catalog.PoolWaitDuration: len(s.Wait),
		catalog.PoolCompleted:    len(s.Completed),
		catalog.PoolUseCPUTime:   len(s.CPUTime),
		catalog.PoolResources:    int(CreateFailed) + 1,
	} {
		if values := m.Attributes[0].Values; len(values) != n {
			t.Errorf("%s: the array has %d elements for the values %v", m.Name, n, values)
		}
	}
	for got, want := range map[fmt.Stringer]string{
		Used: "used", Idle: "idle", Constructing: "constructing",
		Acquired: "acquired", Rejected: "rejected", Canceled: "canceled", TimedOut: "timeout", WasClosed: "closed",
		OK: "ok", Failed: "error", Panicked: "panic", Exited: "exit",
		OnCPU: "on_cpu", RunQueue: "run_queue", Blocked: "blocked",
		Created: "created", Ended: "closed", CreateFailed: "create_failed",
	} {
		if got.String() != want {
			t.Errorf("%T.String() = %q, want %q", got, got.String(), want)
		}
	}
}

func TestAbsentValuesAreNotReported(t *testing.T) {
	var s Stats
	s.Wait[Acquired] = new(Histogram)
	s.points(func(m *catalog.Metric, _ labels, p Point) { t.Errorf("empty Stats report %s: %+v", m.Name, p) })
	s.Limit = Some(int64(0))
	var names []string
	s.points(func(m *catalog.Metric, _ labels, _ Point) { names = append(names, m.Name) })
	if len(names) != 1 || names[0] != catalog.PoolLimit.Name {
		t.Errorf("with only a limit of 0, got metrics %v, want only %s", names, catalog.PoolLimit.Name)
	}
}

func TestOptional(t *testing.T) {
	var absent Optional[int64]
	if v, ok := absent.Get(); ok || v != 0 || absent.Or(7) != 7 {
		t.Errorf("zero Optional: Get() = %v, %v, Or(7) = %v; want 0, false, 7", v, ok, absent.Or(7))
	}
	if v, ok := Some(int64(0)).Get(); !ok || v != 0 || Some(int64(0)).Or(7) != 0 {
		t.Errorf("Some(0): Get() = %v, %v, Or(7) = %v; want 0, true, 0", v, ok, Some(int64(0)).Or(7))
	}
}

func TestGaveUp(t *testing.T) {
	for err, want := range map[error]Outcome{
		context.Canceled:                                Canceled,
		context.DeadlineExceeded:                        TimedOut,
		fmt.Errorf("why: %w", context.DeadlineExceeded): TimedOut,
	} {
		if got := GaveUp(err); got != want {
			t.Errorf("GaveUp(%v) = %v, want %v", err, got, want)
		}
	}
}
