//go:build !unix

package bench

import "time"

// cpuTime returns false, since the CPU time of the process is known only on Unix.
func cpuTime() (time.Duration, bool) { return 0, false }
