package thread

import (
	"syscall"
	"time"
)

// ProcessCPU returns the process's CPU time, user and system, or 0 if it is unknown.
func ProcessCPU() time.Duration {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	var created, exited, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(self, &created, &exited, &kernel, &user) != nil {
		return 0
	}
	return fromFiletime(kernel) + fromFiletime(user)
}

// fromFiletime converts f, which is in units of 100 ns.
func fromFiletime(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
