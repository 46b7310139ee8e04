//go:build unix

package thread

import (
	"syscall"
	"time"
)

// ProcessCPU returns the process's CPU time, user and system, or 0 if it is unknown.
func ProcessCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
