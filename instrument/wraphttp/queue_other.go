//go:build !linux

package wraphttp

import "net"

// acceptQueue returns false: the queue is known only on Linux.
func acceptQueue(net.Listener) (waiting, limit int64, known bool) { return 0, 0, false }
