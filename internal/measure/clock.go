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
