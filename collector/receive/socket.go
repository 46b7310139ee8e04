package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// listenSocket listens on a unix socket, in the place of one that a dead process left. Whoever reaches its directory may write to it: the
// app of a pod is most often another user.
func (s *Server) listenSocket(ctx context.Context, path string, serve func(net.Listener) error) error {
	if path == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err = removeStale(ctx, path); err == nil {
			l, err = new(net.ListenConfig).Listen(ctx, "unix", path)
		}
	}
	if err != nil {
		return fmt.Errorf("--relay-socket: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // see above
		_ = l.Close()
		return fmt.Errorf("--relay-socket: %w", err)
	}
	s.start("unix", l, serve)
	return nil
}

// removeStale removes a socket on which nobody listens.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("expected a path that is free, got %s, which is a file", path)
	}
	if conn, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close()
		return fmt.Errorf("expected a path that is free, got %s, where somebody listens", path)
	}
	return os.Remove(path)
}
