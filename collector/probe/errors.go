package probe

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// errorTypes names the causes that are told apart, the same on every system; few, since they are
// attributes of metrics.
var errorTypes = []struct {
	err  error
	kind string
}{
	{context.DeadlineExceeded, "timeout"},
	{os.ErrDeadlineExceeded, "timeout"},
	{syscall.ECONNREFUSED, "connection_refused"},
	{syscall.Errno(10061), "connection_refused"}, // as Winsock numbers it
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
	{errMemory, "memory_filesystem"},
}

// errorType returns the error.type of err, or other if it is none of the known causes.
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

// otherError is what OpenTelemetry's conventions call an error that is none of the known ones.
const otherError = "_OTHER"
