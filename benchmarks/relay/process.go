package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/internal/machine"
)

// process is a running contender with its own upstream and queue.
type process struct {
	addr   string // address for gRPC
	http   string // address for JSON
	sink   *sink
	cmd    *exec.Cmd // nil for the receiver alone
	dir    string
	output bytes.Buffer
}

// start starts contender c and returns when it accepts connections.
func start(ctx context.Context, c contender, dir string) (p *process, err error) {
	p = &process{}
	if p.sink, err = startSink(ctx); err != nil {
		return nil, err
	}
	p.addr = p.sink.addr
	if c.binary == "" {
		return p, nil
	}
	if p.addr, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	if p.http, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp(dir, "queue"); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, c.binary, c.args(p.addr, p.http, p.sink.addr, p.dir)...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, c.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	err = p.waitUntilListening(ctx)
	return p, err
}

// waitUntilListening waits until the process accepts connections.
func (p *process) waitUntilListening(ctx context.Context) error {
	var err error
	for range 1000 {
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(ctx, "tcp", p.addr); err == nil {
			_ = conn.Close()
			if conn, err = new(net.Dialer).DialContext(ctx, "tcp", p.http); err == nil {
				return conn.Close()
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.stop()
	return fmt.Errorf("the contender accepts no connections: %w; it printed:\n%s", err, p.output.String())
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (p *process) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
		_ = os.RemoveAll(p.dir)
	}
	p.sink.close()
}

// cpuTime returns the contender's CPU time, or 0 for the receiver alone.
func (p *process) cpuTime() (time.Duration, error) {
	if p.cmd == nil {
		return 0, nil
	}
	used, err := machine.CPUTime(p.cmd.Process.Pid)
	if err != nil {
		err = fmt.Errorf("reading the contender's CPU time: %w; its output:\n%s", err, p.output.String())
	}
	return used, err
}
