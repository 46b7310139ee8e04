//go:build !unix

package bench

import "time"

// cpuTime returns false: the CPU time of the process is known on Unix only.
func cpuTime() (time.Duration, bool) { return 0, false }
