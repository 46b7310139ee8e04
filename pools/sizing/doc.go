// Package sizing answers one question: how many slots should this pool have?
//
// It has two kinds of answer. The pure functions compute one from figures that a pool or a probe
// has measured:
//
//   - [ErlangC] and [Load]: how many slots an arrival rate needs so that waits stay short;
//   - [Demand]: how many slots saturate the CPUs, or the lock, that the tasks share;
//   - [Recommend]: the smaller of the two;
//   - [FitUSL]: the scalability law that a measured curve follows, and where its peak lies;
//   - [Little]: what ties rate, time and number together.
//
// [Sweep] measures instead: it runs the task itself with 1, 2, 4, … workers and finds the size
// beyond which more workers no longer help.
//
// All functions are safe for concurrent use, take seconds as [time.Duration] and rates as events
// per second, and return an error that names the argument and what was expected when an argument
// makes no sense. The package imports nothing but the standard library, and starts no goroutine
// that outlives a call.
//
// # What not to feed it
//
// Figures of a saturated pool contain the queueing that its size caused. A formula that reads "time
// not on CPU" from such a pool runs away: the more workers, the longer the measured waits, the more
// workers it asks for. [Demand] therefore wants times that are free of queueing, and
// [Observation.Demand] takes the queueing out of what instruments see.
package sizing
