// Package sizing answers one question: how many slots should this pool have?
//
// The pure functions compute an answer from figures that a pool or a probe has measured:
//
//   - [ErlangC] and [Load]: how many slots an arrival rate needs to keep waits short;
//   - [Demand]: how many slots saturate the CPUs or the lock that the tasks share;
//   - [Recommend]: the smaller of the two;
//   - [FitUSL]: the scalability law of a measured curve, and its peak;
//   - [Little]: the number of requests in a system, from their rate and time.
//
// [Sweep] measures instead: it runs the task with 1, 2, 4, … workers and finds the size beyond
// which more workers no longer help.
//
// All functions are safe for concurrent use. Times are of type [time.Duration], and rates are per
// second. An error names the invalid argument and what was expected. The package imports only the
// standard library, and no goroutine outlives a call.
//
// # Figures of a saturated pool
//
// Do not pass the times of a saturated pool to [Demand]: they contain the queueing that the pool's
// size causes. The more workers the pool has, the longer the measured waits, and the more workers
// the formula recommends. Pass them to [Observation.Demand], which removes the queueing.
package sizing
