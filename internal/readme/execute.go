//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// These limits are for commands that hang. Commands usually take much less time, but a first build
// of everything takes minutes on a slow machine.
const (
	runLimit  = 20 * time.Minute
	stopLimit = 30 * time.Second
)

// execute runs the block in dir and forwards its output. When execute returns, all processes of the
// block have exited, except those that left the process group. A run block fails if it leaves a
// process behind that keeps standard output open.
func (b *block) execute(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("block has not finished after %s", runLimit))
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", b.script)
	cmd.Dir = dir
	// In a process group, "go run" and its child can be stopped together, as by a terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = stopLimit
	stdout := &firstLine{w: os.Stdout, seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Cancel() //nolint:errcheck // fails if nothing is left to kill
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	ready := stdout.seen
	if !b.serve {
		ready = nil
	}
	select {
	case <-ready:
		return interrupt(cmd, exited)
	case err := <-exited:
		if b.serve {
			err = errors.Join(errors.New("exited before it was stopped"), err)
		}
		return errors.Join(err, context.Cause(ctx))
	}
}

// interrupt sends an interrupt, as Ctrl-C does, and waits until the command has exited. It ignores
// the exit status, because go run exits with 1 even if the program exits with 0.
func interrupt(cmd *exec.Cmd, exited <-chan error) error {
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-exited: //nolint:errcheck // the status is meaningless; see above
		return nil
	case <-time.After(stopLimit):
		return fmt.Errorf("block is still running %s after Ctrl-C", stopLimit)
	}
}

// firstLine is a writer that closes seen at the end of the first line written to it.
type firstLine struct {
	w    io.Writer
	seen chan struct{}
	once sync.Once
}

func (f *firstLine) Write(p []byte) (int, error) {
	if bytes.IndexByte(p, '\n') >= 0 {
		f.once.Do(func() { close(f.seen) })
	}
	return f.w.Write(p)
}
