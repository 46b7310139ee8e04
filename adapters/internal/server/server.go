//go:build unix

// Package server starts real PostgreSQL and Redis servers for tests, each on a free loopback port
// and in its own directory.
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

// attempts is the number of times that start tries to start a server, since another process may
// take the free port first.
const attempts = 5

// Server is a running server. It can be stopped and started again.
type Server struct {
	Address string // host:port

	t       testing.TB
	port    int
	ready   string // part of the log line that announces that the server is ready
	signal  syscall.Signal
	command func(port int) *exec.Cmd
	stop    func() // nil while the server is stopped
}

// start starts a server and waits until it prints a line that contains the text ready. At the end
// of the test it stops the server by sending signal. command returns the command that starts the
// server on the given port.
func start(t testing.TB, ready string, signal syscall.Signal, command func(port int) *exec.Cmd) *Server {
	t.Helper()
	s := &Server{t: t, ready: ready, signal: signal, command: command}
	t.Cleanup(s.Stop)
	var output string
	for range attempts {
		s.port = freePort(t)
		s.Address = fmt.Sprintf("127.0.0.1:%d", s.port)
		var ok bool
		if output, ok = s.run(); ok {
			return s
		}
	}
	t.Fatalf("the server did not start in %d attempts; the last one printed:\n%s", attempts, output)
	return nil
}

// Stop stops the server and waits until it has exited.
func (s *Server) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Start restarts a stopped server at the same address.
func (s *Server) Start() {
	s.t.Helper()
	if output, ok := s.run(); !ok {
		s.t.Fatalf("the server did not restart; it printed:\n%s", output)
	}
}

// run starts the server and waits until it is ready or has exited. It returns the server's output
// so far, and whether the server is ready.
func (s *Server) run() (output string, ok bool) {
	s.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := s.command(s.port)
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = writer.Close()
	ready, exited := make(chan string, 1), make(chan string, 1) // each receives the output so far
	go func() {
		defer reader.Close()
		var all strings.Builder
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if strings.Contains(lines.Text(), s.ready) {
				select {
				case ready <- all.String():
				default:
				}
			}
		}
		exited <- all.String()
	}()
	select {
	case output = <-exited:
		_ = cmd.Wait() // the output explains the failure better than the error
		return output, false
	case output = <-ready:
	}
	s.stop = func() {
		_ = cmd.Process.Signal(s.signal)
		_ = cmd.Wait()
		<-exited
	}
	return output, true
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
