// Package sizing answers one question: how many slots should this pool have?
//
// Its pure functions compute an answer from what a pool or a probe has measured:
//
//   - [ErlangC] and [Load]: how many slots keep waits short at a given arrival rate;
//   - [Demand]: how many slots saturate the CPUs or the lock that the tasks share;
//   - [Recommend]: the smaller of these two numbers;
//   - [FitUSL]: the scalability law that fits a measured curve, and its peak;
//   - [Little]: the number of requests in a system, from their rate and their time in the system.
//
// [Sweep] measures instead: it runs the task with 1, 2, 4, … workers and finds the size above which
// more workers no longer help.
//
// All functions are safe for concurrent use. Times are of type [time.Duration], and rates are per
// second. An error names the invalid argument and what was expected. The package imports only the
// standard library, and no goroutine outlives a call.
//
// # Measurements of a saturated pool
//
// Do not use the times of a saturated pool in a [Demand], since they contain the queueing that the
// pool's size causes. The more workers such a pool has, the longer the measured waits are, and the
// more workers the formula would recommend. Pass these times to [Observation.Demand], which removes
// the queueing.
package sizing
