//go:build !linux

package proc

import "time"

// uptime returns false: the files that this package reads exist only on Linux.
func uptime() (time.Duration, bool) { return 0, false }
