package probe

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// errorTypes maps errors to values of error.type. The values are the same on every operating
// system.
var errorTypes = []struct {
	err  error
	kind string
}{
	{context.DeadlineExceeded, "timeout"},
	{os.ErrDeadlineExceeded, "timeout"},
	{syscall.ECONNREFUSED, "connection_refused"},
	{syscall.Errno(10061), "connection_refused"}, // the number in Winsock
	{syscall.ECONNRESET, "connection_reset"},
	{syscall.EPIPE, "connection_reset"},
	{syscall.Errno(10054), "connection_reset"},
	{syscall.ENETUNREACH, "unreachable"},
	{syscall.EHOSTUNREACH, "unreachable"},
	{syscall.ENOSPC, "ENOSPC"},
	{syscall.EDQUOT, "EDQUOT"},
	{syscall.EROFS, "EROFS"},
	{syscall.EIO, "EIO"},
	{syscall.EACCES, "EACCES"},
	{syscall.EPERM, "EPERM"},
	{syscall.ENOENT, "ENOENT"},
	{errMemoryFS, "memory_filesystem"},
}

// errorType returns the error.type of err, or other if err matches none of errorTypes.
func errorType(err error, other string) string {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return "nxdomain"
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	for _, t := range errorTypes {
		if errors.Is(err, t.err) {
			return t.kind
		}
	}
	return other
}

// otherError is the error.type that the semantic conventions prescribe for unknown errors.
const otherError = "_OTHER"
