package probe

import "time"

// budget limits the cost of a probe to a share of a core. It grows by share × time and is charged
// the cost of each run. Since a run starts only if the budget is not overspent,
//
//	Invariant: spent ≤ share × (now − since) + the cost of the most expensive run
//
// holds at all times. A budget is not safe for concurrent use.
type budget struct {
	share float64 // CPU seconds a second
	since time.Time
	spent time.Duration
}

func (a *budget) charge(cpu time.Duration) { a.spent += cpu }

func (a *budget) overspent(now time.Time) bool {
	return a.spent.Seconds() > a.share*now.Sub(a.since).Seconds()
}
