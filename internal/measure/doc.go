// Package measure measures pools and wrappers. A [Meter] integrates the number of slots used over
// time and decides what is timed, [Durations] records how long waits and uses took, and a [Split]
// divides the time of some tasks by the state of their threads.
//
// A pool calls it with its lock held:
//
//	now := p.meter.Event(p.used)                    // before used changes: one reading of the clock
//	use := p.uses.Begin(&p.meter, now)              // a use begins
//	…
//	now = p.meter.Event(p.used)
//	p.uses.End(&p.meter, use, instrument.OK, now)   // and ends
//
// At up to 200,000 events a second, each event reads the clock, and all figures are exact. Above
// that rate the pool is overloaded: the slots used are sampled 1,000 times a second, and one use in
// 32 is timed, as is every use of more than about 2 ms.
package measure

import "time"

// base is the zero of [Clock]. It is before the year 2000, in which the time of testing/synctest
// begins, so that Clock is always positive.
var base = time.Now().Add(-50 * 365 * 24 * time.Hour) // Add keeps the monotonic reading

// Clock returns a monotonic time, which is always positive. Only differences are meaningful. It is
// cheaper than [time.Now], and follows the clock of testing/synctest.
func Clock() time.Duration {
	return time.Since(base)
}
