package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// session is a running sidecar and the points that it has sent.
type session struct {
	cmd      *exec.Cmd
	output   bytes.Buffer
	receiver *otlptest.Receiver
	first    chan struct{} // closed when the first point arrives

	mu     sync.Mutex // guards points
	points []otlptest.Point
}

// sampling is the sidecar's export interval.
const sampling = time.Second

// startSidecar starts the sidecar in the cgroups given by procs and on the given CPU, and waits for
// its first point.
func (b *bench) startSidecar(ctx context.Context, procs string, cpu int, args ...string) (*session, error) {
	s := &session{first: make(chan struct{})}
	var err error
	if s.receiver, err = otlptest.Start("127.0.0.1:0", s.receive); err != nil {
		return nil, err
	}
	s.cmd = b.command(
		ctx,
		procs,
		cpu,
		append([]string{b.sidecar, "--interval=" + sampling.String(), "--health-address=off"}, args...)...)
	s.cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+s.receiver.Addr,
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=explicit_bucket_histogram")
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		s.receiver.Close()
		return nil, err
	}
	const patience = 30 * time.Second
	select {
	case <-s.first:
		return s, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(patience):
		err = fmt.Errorf("the sidecar sent no points within %v; it printed:\n%s", patience, s.stop())
	}
	s.stop()
	return nil, err
}

func (s *session) receive(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.points) == 0 && otlptest.Count(r) > 0 {
		close(s.first)
	}
	for p := range otlptest.Points(r) {
		s.points = append(s.points, p)
	}
	return &otlptest.Response{}, nil
}

// stop stops the sidecar and returns its output. It may be called more than once.
func (s *session) stop() string {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
	s.receiver.Close()
	return s.output.String()
}

// window is an interval of time.
type window struct{ from, to time.Time }

// phases runs the phases before, during and after a fault and returns their windows. Each window
// omits the first three seconds of its phase, whose samples may include the previous phase.
func (b *bench) phases(ctx context.Context, fault, lift func() error) (windows [3]window, err error) {
	const settle = 3 * sampling
	change := [3]func() error{func() error { return nil }, fault, lift}
	for i := range windows {
		if err := change[i](); err != nil {
			return windows, err
		}
		windows[i].from = time.Now().Add(settle)
		select {
		case <-time.After(settle + b.phase):
		case <-ctx.Done():
			return windows, ctx.Err()
		}
		windows[i].to = time.Now()
	}
	// Wait for the last sample of the last phase.
	select {
	case <-time.After(sampling):
	case <-ctx.Done():
	}
	return windows, ctx.Err()
}
