package wraphttp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptQueue returns how many connections of l are waiting to be accepted, and how many may wait.
// known is false if l is not a *net.TCPListener, or if the kernel does not report these numbers.
func acceptQueue(l net.Listener) (waiting, limit int64, known bool) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return 0, 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var info *unix.TCPInfo
	if err := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), syscall.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || info == nil {
		return 0, 0, false
	}
	// For a listening socket, these fields are the length of the queue and the backlog. The queue
	// is full when it holds one connection more than the backlog.
	return int64(info.Unacked), int64(info.Sacked) + 1, true
}
