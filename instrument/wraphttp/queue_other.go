//go:build !linux

package wraphttp

import "net"

// acceptQueue returns false, since only Linux reports the accept queue.
func acceptQueue(net.Listener) (waiting, limit int64, known bool) { return 0, 0, false }
