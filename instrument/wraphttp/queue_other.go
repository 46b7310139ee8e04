//go:build !linux

package wraphttp

import "net"

// acceptQueue knows nothing here.
func acceptQueue(net.Listener) (waiting, limit int64, known bool) { return 0, 0, false }
