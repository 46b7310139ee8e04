package instrument

import (
	"context"
	"fmt"
	"testing"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// The arrays of Stats are indexed by the values listed in the table, in that order.
func TestArraysFollowTheTable(t *testing.T) {
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
			t.Errorf("%s: %d places for %v", m.Name, n, values)
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
			t.Errorf("%T %v is named %q, want %q", got, got, got.String(), want)
		}
	}
}

func TestAbsentIsNotReported(t *testing.T) {
	var s Stats
	s.Wait[Acquired] = new(Histogram)
	s.points(func(m *catalog.Metric, _ labels, p Point) { t.Errorf("empty Stats report %s: %+v", m.Name, p) })
	s.Limit = Some(int64(0))
	var names []string
	s.points(func(m *catalog.Metric, _ labels, _ Point) { names = append(names, m.Name) })
	if len(names) != 1 || names[0] != catalog.PoolLimit.Name {
		t.Errorf("a limit of 0 is reported as %v", names)
	}
}

func TestOptional(t *testing.T) {
	var absent Optional[int64]
	if v, ok := absent.Get(); ok || v != 0 || absent.Or(7) != 7 {
		t.Errorf("the zero Optional is %v, %v, or %v", v, ok, absent.Or(7))
	}
	if v, ok := Some(int64(0)).Get(); !ok || v != 0 || Some(int64(0)).Or(7) != 0 {
		t.Errorf("Some(0) is %v, %v", v, ok)
	}
}

func TestGaveUp(t *testing.T) {
	for err, want := range map[error]Outcome{
		context.Canceled:                                Canceled,
		context.DeadlineExceeded:                        TimedOut,
		fmt.Errorf("why: %w", context.DeadlineExceeded): TimedOut,
	} {
		if got := GaveUp(err); got != want {
			t.Errorf("%v: outcome %v, want %v", err, got, want)
		}
	}
}
