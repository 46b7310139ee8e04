//go:build unix

package server

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// Redis starts a Redis for the test and returns its address. Without one installed it skips the test.
func Redis(t testing.TB) (address string) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("Redis is not installed: apt-get install redis-server")
	}
	dir := t.TempDir()
	port := start(t, "Ready to accept connections", syscall.SIGTERM, func(port int) *exec.Cmd {
		return exec.CommandContext(context.WithoutCancel(t.Context()), program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
			"--dir", dir, "--save", "", "--appendonly", "no")
	})
	return fmt.Sprintf("127.0.0.1:%d", port)
}
