//go:build !linux

package thread

import "time"

// ProcessDelay returns false: this system does not report how long threads wait for a CPU.
func ProcessDelay() (total time.Duration, ok bool) { return 0, false }
