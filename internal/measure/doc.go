// Package measure measures pools and wrappers. A [Meter] integrates the slots used over time and
// decides what is timed, [Durations] collects how long waits and uses took, and a [Split] divides
// the time of some tasks by what their threads did.
//
// A pool calls it with its lock held:
//
//	now := p.meter.Event(p.used)                // before used changes: one reading of the clock
//	use := p.meter.Begin(now)                   // a use, or a wait, begins
//	…
//	p.completed++
//	p.uses.End(&p.meter, use, now, p.completed) // and ends
//
// Up to 200,000 events a second each reads the clock, and everything is exact. Above that the pool
// is overloaded: the slots used are sampled 1,000 times a second, one use in 32 is timed, and so is
// every use of more than about 2 ms.
package measure

import "time"

// base is where [Clock] counts from: before the year 2000, where the time of testing/synctest
// begins, so that it is always positive.
var base = time.Now().Add(-50 * 365 * 24 * time.Hour) // which keeps the monotonic reading

// Clock returns a monotonic time, which is positive. Only differences are meaningful. It is cheaper
// than [time.Now], and follows the clock of testing/synctest.
func Clock() time.Duration {
	return time.Since(base)
}
