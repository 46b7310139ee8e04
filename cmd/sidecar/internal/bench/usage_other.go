//go:build !unix

package bench

import "time"

// cpuTime always returns false: the process's CPU time is known only on Unix.
func cpuTime() (time.Duration, bool) { return 0, false }
