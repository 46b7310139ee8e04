package probe

import (
	"math"
	"time"
)

// budget limits a probe to a share of one core's CPU time. A run that used c seconds of CPU time
// delays the next one until c/share after its own start. So in any period, of any length,
//
//	CPU time ≤ share × period + the cost of the most expensive run
//
// Time in which the probe did not run earns nothing. A budget is not safe for concurrent use.
type budget struct {
	share float64   // CPU seconds per second
	next  time.Time // the next run must not start earlier
}

// charge records that a run that started at the given time used cpu.
func (b *budget) charge(started time.Time, cpu time.Duration) {
	b.next = started.Add(time.Duration(min(float64(cpu)/b.share, math.MaxInt64/2)))
}

// isOverspent reports whether a run must not start at now.
func (b *budget) isOverspent(now time.Time) bool { return now.Before(b.next) }
