package thread

import (
	"time"

	"golang.org/x/sys/unix"
)

// HasClock reports whether [CPU] returns the CPU time of the thread rather than of the process.
const HasClock = true

// CPU returns the CPU time of the calling thread.
func CPU() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
