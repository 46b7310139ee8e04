package measure

import "time"

// base is the time at which [Clock] is zero. It is before 2000, the year in which the clock of
// testing/synctest starts, so that Clock is always positive.
var base = time.Now().Add(-50 * 365 * 24 * time.Hour) // Add keeps the monotonic reading

// Clock returns a monotonic time, which is always positive. Only differences are meaningful. Clock
// is cheaper than [time.Now], and returns virtual time in a bubble of testing/synctest.
func Clock() time.Duration {
	return time.Since(base)
}
