//go:build !linux

package thread

import "time"

// ProcessDelay returns false: the wait for a CPU is unknown on this system.
func ProcessDelay() (total time.Duration, ok bool) { return 0, false }
