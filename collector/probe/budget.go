package probe

import (
	"math"
	"time"
)

// budget limits a probe to a share of one core's CPU time. After a run that used c seconds of CPU
// time, the next one starts no sooner than c/share after its end. So in any period, of any length,
//
//	CPU time ≤ share × period + the cost of the most expensive run
//
// Time in which the probe did not run earns nothing. A budget is not safe for concurrent use.
type budget struct {
	share float64   // CPU seconds per second
	next  time.Time // the next run must not start earlier
}

// charge records that a run that ended at the given time used cpu.
func (b *budget) charge(ended time.Time, cpu time.Duration) {
	b.next = ended.Add(time.Duration(min(float64(cpu)/b.share, math.MaxInt64/2)))
}

// isOverspent reports whether a run must not start at now.
func (b *budget) isOverspent(now time.Time) bool { return now.Before(b.next) }
