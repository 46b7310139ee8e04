package proc

import (
	"syscall"
	"time"
)

// uptime returns the time since boot. It uses a system call, which works even if a container hides
// /proc/uptime.
func uptime() (time.Duration, bool) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, false
	}
	return time.Duration(info.Uptime) * time.Second, true
}
