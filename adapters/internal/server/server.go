//go:build unix

// Package server starts the real PostgreSQL and Redis for tests, each on a free port of the loopback and in a directory of its own.
package server

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// attempts is how often a server is started: the port that was free may be taken when it gets there.
const attempts = 5

// start starts a server that is ready when it writes a line with a word, and stops it with the test by a signal. Command returns how
// to start it on a port.
func start(t testing.TB, ready string, stop syscall.Signal, command func(port int) *exec.Cmd) (port int) {
	t.Helper()
	var said string
	for range attempts {
		port = freePort(t)
		cmd := command(port)
		var ok bool
		if said, ok = run(t, cmd, ready, stop); ok {
			return port
		}
	}
	t.Fatalf("the server did not start in %d attempts; the last said:\n%s", attempts, said)
	return 0
}

// run starts cmd and waits until it is ready or has ended. It returns what it said until then.
func run(t testing.TB, cmd *exec.Cmd, ready string, stop syscall.Signal) (said string, ok bool) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	isReady, ended := make(chan string, 1), make(chan string, 1)
	go func() {
		defer reader.Close()
		var all strings.Builder
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if strings.Contains(lines.Text(), ready) {
				select {
				case isReady <- all.String():
				default:
				}
			}
		}
		ended <- all.String()
	}()
	select {
	case said = <-ended:
		_ = cmd.Wait() // what it said is the better reason
		return said, false
	case said = <-isReady:
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(stop)
		_ = cmd.Wait()
		<-ended
	})
	return said, true
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
