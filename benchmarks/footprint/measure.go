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

	"github.com/poolgauge/poolgauge/benchmarks/internal/machine"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// result is the measured cost of a contender.
type result struct {
	contender
	binaryMB    float64
	rss, anon   []float64       // MiB, sampled once a second
	cpu         float64         // seconds of CPU time per minute
	first       []time.Duration // time from exec until the receiver got the first point
	pointsPerS  float64
	cpuOfStarts time.Duration // CPU time until the first point in the run of all contenders
}

// measure first starts each contender on its own, o.starts times, to measure how long it takes to
// send its first point. Then it measures the cost of all contenders running together.
func measure(ctx context.Context, contenders []contender, o options) ([]*result, error) {
	results := make([]*result, len(contenders))
	for i, c := range contenders {
		info, err := os.Stat(c.binary)
		if err != nil {
			return nil, err
		}
		results[i] = &result{contender: c, binaryMB: float64(info.Size()) / 1e6}
	}
	for range o.starts {
		for _, r := range results {
			if err := measureStart(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	return results, measureRun(ctx, results, o.duration)
}

func measureStart(ctx context.Context, r *result) error {
	p, err := start(ctx, r.contender)
	if err != nil {
		return err
	}
	defer p.stop()
	took, err := p.firstPoint(ctx)
	r.first = append(r.first, took)
	return err
}

// measureRun runs all contenders together. Once each has sent a point, it reads their memory every
// second.
func measureRun(ctx context.Context, results []*result, duration time.Duration) error {
	processes, err := startAll(ctx, results)
	defer func() {
		for _, p := range processes {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	cpu, points, begin := make([]time.Duration, len(results)), make([]int, len(results)), time.Now()
	for i, p := range processes {
		if cpu[i], err = p.cpuTime(); err != nil {
			return err
		}
		results[i].cpuOfStarts, points[i] = cpu[i], p.received()
	}
	if err := sampleMemory(ctx, processes, results, begin.Add(duration)); err != nil {
		return err
	}
	for i, p := range processes {
		used, err := p.cpuTime()
		if err != nil {
			return err
		}
		elapsed := time.Since(begin)
		results[i].cpu = (used - cpu[i]).Seconds() / elapsed.Minutes()
		results[i].pointsPerS = float64(p.received()-points[i]) / elapsed.Seconds()
	}
	return nil
}

// startAll starts every contender and waits for its first point. If it returns an error, it also
// returns the processes that are already running.
func startAll(ctx context.Context, results []*result) (processes []*process, err error) {
	for _, r := range results {
		p, err := start(ctx, r.contender)
		if err != nil {
			return processes, err
		}
		processes = append(processes, p)
		if _, err := p.firstPoint(ctx); err != nil {
			return processes, err
		}
	}
	return processes, nil
}

func sampleMemory(ctx context.Context, processes []*process, results []*result, end time.Time) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for i, p := range processes {
			rss, anon, err := p.memory()
			if err != nil {
				return err
			}
			results[i].rss, results[i].anon = append(results[i].rss, rss), append(results[i].anon, anon)
		}
	}
	return nil
}

// process is a running contender and its receiver.
type process struct {
	contender contender
	cmd       *exec.Cmd
	output    bytes.Buffer
	receiver  *otlptest.Receiver
	started   time.Time
	first     chan time.Time // receives the arrival time of the first point

	mu     sync.Mutex // guards the fields below
	points int
}

func start(ctx context.Context, c contender) (*process, error) {
	p := &process{contender: c, first: make(chan time.Time, 1)}
	var err error
	if p.receiver, err = otlptest.Start("127.0.0.1:0", p.receive); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, c.binary, c.args(p.receiver.Addr)...)
	p.cmd.Env = append(
		[]string{"PATH=" + os.Getenv("PATH"), "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + p.receiver.Addr},
		c.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.receiver.Close()
		return nil, err
	}
	return p, nil
}

func (p *process) receive(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
	now, n := time.Now(), otlptest.Count(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.points == 0 && n > 0 {
		p.first <- now
	}
	p.points += n
	return &otlptest.Response{}, nil
}

func (p *process) received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.points
}

// firstPoint waits for the first point and returns how long after the start it arrived. It must be
// called exactly once.
func (p *process) firstPoint(ctx context.Context) (time.Duration, error) {
	const patience = 30 * time.Second
	select {
	case at := <-p.first:
		return at.Sub(p.started), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(patience):
		p.stop()
		return 0, fmt.Errorf(
			"%s, %s: no data point arrived within %v; output:\n%s",
			p.contender.family,
			p.contender.setting,
			patience,
			p.output.String(),
		)
	}
}

// stop stops the process and its receiver. It may be called more than once.
func (p *process) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}
	p.receiver.Close()
}

// cpuTime returns the CPU time of the process.
func (p *process) cpuTime() (time.Duration, error) { return machine.CPUTime(p.cmd.Process.Pid) }

// memory returns the process's resident and anonymous memory in MiB.
func (p *process) memory() (rss, anon float64, err error) {
	if rss, anon, err = machine.Memory(p.cmd.Process.Pid); err != nil {
		err = fmt.Errorf(
			"%s, %s exited: %w; it printed:\n%s",
			p.contender.family,
			p.contender.setting,
			err,
			p.output.String(),
		)
	}
	return rss, anon, err
}
