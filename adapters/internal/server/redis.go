//go:build unix

package server

import (
	"context"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// Redis starts a Redis server for the test and returns it. It skips the test if Redis is not
// installed.
func Redis(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("Redis is not installed: apt-get install redis-server")
	}
	dir := t.TempDir()
	return start(t, "Ready to accept connections", syscall.SIGTERM, func(port int) *exec.Cmd {
		return exec.CommandContext(
			context.WithoutCancel(t.Context()),
			program,
			"--bind",
			"127.0.0.1",
			"--port",
			strconv.Itoa(port),
			"--dir",
			dir,
			"--save",
			"",
			"--appendonly",
			"no",
		)
	})
}
