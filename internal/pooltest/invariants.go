// Package pooltest contains tests that every pool must pass: the invariants of the pool's Stats
// under load, and its telemetry in the three settings in which it may run. Only tests import it.
package pooltest

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
)

// Invariants checks successive Stats of one pool.
type Invariants struct {
	Weighted bool // a use may take several slots, so slots and uses do not add up
	Shrinks  bool // the limit may be lowered below the number of slots in use

	last instrument.Stats
}

// HoldUnder reads stats repeatedly while load runs, and once more afterwards. It fails the test at
// the first Stats that break an invariant. It returns the last Stats, so that the test can compare
// them with the calls that load made.
func (in *Invariants) HoldUnder(t testing.TB, stats func() instrument.Stats, load func()) instrument.Stats {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		load()
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		runtime.Gosched() // on one CPU, load would otherwise wait for the end of a time slice
		s := stats()
		if err := in.Check(s); err != nil {
			<-done
			t.Fatalf("broken invariants: %v\nin %+v", err, s)
		}
	}
	return in.last
}

// Check returns an error if s is inconsistent, either internally or with the previously checked
// Stats.
func (in *Invariants) Check(s instrument.Stats) error {
	errs := []error{in.checkGrowth(s)}
	used, hasUsed := s.Usage[instrument.Used].Get()
	if limit, ok := s.Limit.Get(); used < 0 || (ok && used > limit && !in.Shrinks) {
		errs = append(errs, fmt.Errorf("%d slots are used, want 0 to %d", used, limit))
	}
	if pending, limit := s.Pending.Or(0), s.PendingLimit.Or(s.Pending.Or(0)); pending > limit {
		errs = append(errs, fmt.Errorf("%d requests are pending, want at most %d", pending, limit))
	}
	if _, ok := s.PendingAge.Get(); ok && s.Pending.Or(0) == 0 {
		errs = append(errs, errors.New("pending age is set, but nothing is pending"))
	}
	acquired, countsRequests := s.Requests[instrument.Acquired].Get()
	completed, countsEnds := completions(s)
	if hasUsed && countsRequests && countsEnds && !in.Weighted && acquired-completed != used {
		errs = append(errs, fmt.Errorf(
			"%d slots are used, want %d acquired minus %d completed", used, acquired, completed,
		))
	}
	for i, h := range s.Wait {
		if n, ok := s.Requests[i].Get(); h != nil && (!ok || h.Count() != uint64(n)) {
			errs = append(
				errs,
				fmt.Errorf("%d waits, but %d requests with outcome %v", h.Count(), n, instrument.Outcome(i)),
			)
		}
	}
	if s.Use != nil && s.Use.Count() > uint64(completed) {
		errs = append(errs, fmt.Errorf("%d durations, but %d completed uses", s.Use.Count(), completed))
	}
	in.last = s
	return errors.Join(errs...)
}

// completions returns the number of uses that have ended, and whether the pool counts them.
func completions(s instrument.Stats) (n int64, counted bool) {
	for _, o := range s.Completed {
		count, ok := o.Get()
		n, counted = n+count, counted || ok
	}
	return n, counted
}

// checkGrowth checks that no cumulative value decreased.
func (in *Invariants) checkGrowth(s instrument.Stats) error {
	var errs []error
	check := func(what any, before, now instrument.Optional[int64]) {
		if now.Or(0) < before.Or(0) {
			errs = append(errs, fmt.Errorf("%v decreased from %d to %d", what, before.Or(0), now.Or(0)))
		}
	}
	seconds := func(what string, before, now instrument.Optional[float64]) {
		if now.Or(0) < before.Or(0) {
			errs = append(errs, fmt.Errorf("%s decreased from %v s to %v s", what, before.Or(0), now.Or(0)))
		}
	}
	for i := range s.Requests {
		check(instrument.Outcome(i), in.last.Requests[i], s.Requests[i])
	}
	for i := range s.Completed {
		check(instrument.Ending(i), in.last.Completed[i], s.Completed[i])
	}
	check("waits", in.last.Waits, s.Waits)
	seconds("wait time", in.last.WaitTime, s.WaitTime)
	seconds("use time", in.last.UseTime, s.UseTime)
	seconds("held back time", in.last.HeldBack, s.HeldBack)
	return errors.Join(errs...)
}
