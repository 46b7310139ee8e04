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

// attempts is how many times start tries to start a server: another process may take the free port
// before the server does.
const attempts = 5

// Server is a running server. It can be stopped and started again.
type Server struct {
	Address string // host:port

	t       testing.TB
	port    int
	ready   string // part of the log line that announces that the server is ready
	signal  syscall.Signal
	command func(port int) *exec.Cmd
	end     func() // nil while the server is stopped
}

// start starts a server and waits until it prints a line that contains the text ready. At the end
// of the test it stops the server by sending signal. command returns the command that starts the
// server on the given port.
func start(t testing.TB, ready string, signal syscall.Signal, command func(port int) *exec.Cmd) *Server {
	t.Helper()
	s := &Server{t: t, ready: ready, signal: signal, command: command}
	t.Cleanup(s.Stop)
	var said string
	for range attempts {
		s.port = freePort(t)
		s.Address = fmt.Sprintf("127.0.0.1:%d", s.port)
		var ok bool
		if said, ok = s.run(); ok {
			return s
		}
	}
	t.Fatalf("the server did not start in %d attempts; the last one printed:\n%s", attempts, said)
	return nil
}

// Stop stops the server and waits until it has exited.
func (s *Server) Stop() {
	if s.end != nil {
		s.end()
		s.end = nil
	}
}

// Start restarts a stopped server at the same address.
func (s *Server) Start() {
	s.t.Helper()
	if said, ok := s.run(); !ok {
		s.t.Fatalf("the server did not restart:\n%s", said)
	}
}

// run starts the server and waits until it is ready or has exited. It returns the server's output
// so far, and whether the server is ready.
func (s *Server) run() (said string, ok bool) {
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
	isReady, ended := make(chan string, 1), make(chan string, 1)
	go func() {
		defer reader.Close()
		var all strings.Builder
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if strings.Contains(lines.Text(), s.ready) {
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
		_ = cmd.Wait() // the output explains the failure better than the error
		return said, false
	case said = <-isReady:
	}
	s.end = func() {
		_ = cmd.Process.Signal(s.signal)
		_ = cmd.Wait()
		<-ended
	}
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
