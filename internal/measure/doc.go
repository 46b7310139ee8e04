// Package measure measures pools and wrappers. A [Meter] integrates the number of slots used over
// time and decides what is timed. [Durations] records how long waits and uses took. A [Split]
// breaks down the time of some tasks by the state of their threads.
//
// A pool calls these types with its lock held:
//
//	now := p.meter.Event(p.used)                    // before used changes; reads the clock once
//	use := p.uses.Begin(&p.meter, now)              // a use begins
//	…
//	now = p.meter.Event(p.used)
//	p.uses.End(&p.meter, use, instrument.OK, now)   // and ends
//
// At up to 200,000 events per second, each event reads the clock, and all measurements are exact.
// Above that rate the pool is overloaded: the number of slots used is sampled 1,000 times per
// second, and one use in 32 is timed, as is every use of more than about 2 ms.
package measure

import "time"

// base is the time at which [Clock] is zero. It is before the year 2000, when the time of
// testing/synctest begins, so that Clock is always positive.
var base = time.Now().Add(-50 * 365 * 24 * time.Hour) // Add keeps the monotonic reading

// Clock returns a monotonic time, which is always positive. Only differences are meaningful. Clock
// is cheaper than [time.Now], and returns virtual time in a bubble of testing/synctest.
func Clock() time.Duration {
	return time.Since(base)
}
