package proc

import (
	"syscall"
	"time"
)

// uptime is the kernel's own, which no container's view of /proc hides.
func uptime() (time.Duration, bool) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, false
	}
	return time.Duration(info.Uptime) * time.Second, true
}
