// Package measure measures pools and wrappers. A [Meter] integrates the number of slots used over
// time and decides which events read the clock. [Durations] records how long waits and uses took. A
// [Split] breaks down the time of some tasks by the state of their threads.
//
// A pool calls their methods with its lock held:
//
//	now := p.meter.Event(p.used)                    // before p.used changes; may read the clock
//	use := p.uses.Begin(&p.meter, now)              // the use begins
//	…
//	now = p.meter.Event(p.used)
//	p.uses.End(&p.meter, use, instrument.OK, now)   // the use ends
//
// At up to 200,000 events per second, each event reads the clock, and all measurements are exact.
// Above that rate the pool is overloaded: the number of slots used is sampled 1,000 times per
// second, and one use in 32 is timed, as is every use of more than about 2 ms.
package measure
