package probe

import "time"

// budget limits a probe to a share of one core's CPU time. The budget grows by share × time, and
// each run's CPU time is subtracted from it. Since a run starts only if the budget is not
// overspent,
//
//	Invariant: spent ≤ share × (now − since) + the cost of the most expensive run
//
// holds at all times. A budget is not safe for concurrent use.
type budget struct {
	share float64 // CPU seconds per second
	since time.Time
	spent time.Duration
}

func (a *budget) charge(cpu time.Duration) { a.spent += cpu }

func (a *budget) overspent(now time.Time) bool {
	return a.spent.Seconds() > a.share*now.Sub(a.since).Seconds()
}
