//go:build !linux

package thread

import "time"

// ProcessDelay returns false: the system does not tell how long threads wait for a CPU.
func ProcessDelay() (total time.Duration, ok bool) { return 0, false }
