package probe

import "time"

// account keeps what a probe costs under its share of a core. It earns share × time from opened on
// and is charged what each run cost; since a run is only let through while it is not in debt,
//
//	Invariant: spent ≤ share × (now − opened) + the cost of the dearest run
//
// holds for any history of runs. An account is not safe for concurrent use.
type account struct {
	share  float64 // CPU seconds a second
	opened time.Time
	spent  time.Duration
}

func (a *account) charge(cpu time.Duration) { a.spent += cpu }

func (a *account) inDebt(now time.Time) bool {
	return a.spent.Seconds() > a.share*now.Sub(a.opened).Seconds()
}
