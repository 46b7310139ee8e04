//go:build !unix

package bench

import "time"

// cpuTime is the CPU time of the process so far. Elsewhere than on Unix it is not known.
func cpuTime() (time.Duration, bool) { return 0, false }
