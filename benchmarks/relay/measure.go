package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/internal/machine"
)

// form is the size and the encoding of requests.
type form struct {
	size int  // points
	json bool // JSON over HTTP instead of gRPC
}

func (f form) String() string {
	if f.json {
		return fmt.Sprintf("JSON requests of %d", f.size)
	}
	return fmt.Sprintf("gRPC requests of %d", f.size)
}

// forms lists the forms of requests whose throughput is measured. The first is also used to measure
// memory and latency. JSON is sent only to contenders whose idle memory is measured.
var forms = []form{{100, false}, {10, false}, {1, true}, {100, true}, {10_000, true}}

const (
	fixedRate    = 100_000 // points/s while memory is measured
	moderateRate = 20_000  // points/s while latency is measured
	warmUp       = 500 * time.Millisecond
)

// result holds the values of each metric, one per round.
type result struct {
	contender
	throughput map[form]*throughput
	memory     memory
	latency    latency
}

type throughput struct {
	accepted, forwarded []float64 // points/s
	cpu                 []float64 // µs of the contender's CPU time per point
	lost                []float64 // share of the accepted points that never arrived
	refused             []float64 // share of all points that were refused
	peak                []float64 // MiB
}

type memory struct {
	idle, steady, peak, after []float64 // MiB
	rate                      []float64 // points/s that arrived
	cpu                       []float64 // CPU seconds per second
}

type latency struct {
	p50, p99 []time.Duration
	added    []time.Duration // p99 minus the p99 of a receiver alone at the same time
}

// measure measures all contenders, interleaving their rounds.
func measure(ctx context.Context, contenders []contender, dir string, o options) ([]*result, error) {
	var results []*result
	for _, c := range contenders {
		if !selected(c, o.only) {
			continue
		}
		results = append(results, &result{contender: c, throughput: map[form]*throughput{}})
	}
	for range o.rounds {
		for _, r := range results {
			if err := r.round(ctx, dir, o.duration); err != nil {
				return nil, fmt.Errorf("%s: %w", r.contender, err)
			}
		}
	}
	return results, nil
}

func (r *result) round(ctx context.Context, dir string, d time.Duration) error {
	if r.family != bare {
		if err := r.forms(ctx, dir, d); err != nil {
			return err
		}
		if err := r.with(ctx, dir, func(p *process) error { return r.memory.measure(ctx, p, d, r.idle) }); err != nil {
			return err
		}
	}
	if !r.idle {
		return nil
	}
	return r.with(ctx, dir, func(p *process) error { return r.latency.measure(ctx, p, d) })
}

// forms measures the throughput of requests in each form.
func (r *result) forms(ctx context.Context, dir string, d time.Duration) error {
	for _, f := range forms {
		if f.json && !r.idle {
			continue
		}
		if r.throughput[f] == nil {
			r.throughput[f] = &throughput{}
		}
		if err := r.with(
			ctx,
			dir,
			func(p *process) error { return r.throughput[f].measure(ctx, p, f, d) },
		); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	return nil
}

// with starts the contender, runs f and stops the contender.
func (r *result) with(ctx context.Context, dir string, f func(*process) error) error {
	p, err := start(ctx, r.contender, dir)
	if err != nil {
		return err
	}
	defer p.stop()
	return f(p)
}

// reading holds the values of all counters at one time.
type reading struct {
	at                  time.Time
	accepted, forwarded int64
	cpu                 time.Duration
}

func read(p *process, l *load) (reading, error) {
	cpu, err := p.cpuTime()
	return reading{time.Now(), l.accepted.Load(), p.sink.points.Load(), cpu}, err
}

// during reads the counters at the beginning and at the end of a period of length d, which follows
// a warm-up.
func during(p *process, l *load, d time.Duration) (from, to reading, err error) {
	time.Sleep(warmUp)
	if from, err = read(p, l); err != nil {
		return from, to, err
	}
	time.Sleep(d)
	to, err = read(p, l)
	return from, to, err
}

func (t *throughput) measure(ctx context.Context, p *process, f form, d time.Duration) error {
	addr := p.addr
	if f.json {
		addr = p.http
	}
	l, err := send(ctx, addr, f, 0)
	if err != nil {
		return err
	}
	from, to, err := during(p, l, d)
	if stopped := l.stop(); err == nil {
		err = stopped
	}
	if err != nil {
		return err
	}
	seconds, forwarded := to.at.Sub(from.at).Seconds(), float64(to.forwarded-from.forwarded)
	t.accepted = append(t.accepted, float64(to.accepted-from.accepted)/seconds)
	t.forwarded = append(t.forwarded, forwarded/seconds)
	t.cpu = append(t.cpu, (to.cpu-from.cpu).Seconds()*1e6/forwarded)
	accepted, refused := float64(l.accepted.Load()), float64(l.refused.Load())
	t.lost = append(t.lost, max(0, accepted-float64(arrived(p, l)))/accepted)
	t.refused = append(t.refused, refused/(accepted+refused))
	peak, err := machine.PeakMemory(p.cmd.Process.Pid)
	t.peak = append(t.peak, peak)
	return err
}

// arrived waits until every accepted point has arrived, or until nothing has arrived for a second.
// It returns how many points arrived.
func arrived(p *process, l *load) int64 {
	const quiet = 20
	n := p.sink.points.Load()
	for still := 0; still < quiet && n < l.accepted.Load(); still++ {
		time.Sleep(time.Second / quiet)
		// the sidecar's own points keep arriving
		if now := p.sink.points.Load(); now-n > int64(forms[0].size) {
			n, still = now, 0
		}
	}
	return n
}

// measure measures memory under load at the fixed rate and, if idle is true, also before and after
// the load.
func (m *memory) measure(ctx context.Context, p *process, d time.Duration, idle bool) error {
	pid := p.cmd.Process.Pid
	if idle {
		if err := sample(pid, d, &m.idle); err != nil {
			return err
		}
	}
	l, err := send(ctx, p.addr, forms[0], fixedRate)
	if err != nil {
		return err
	}
	time.Sleep(warmUp)
	from, err := read(p, l)
	if err == nil {
		err = sample(pid, d, &m.steady)
	}
	to, _ := read(p, l)
	if stopped := l.stop(); err == nil {
		err = stopped
	}
	if err != nil {
		return err
	}
	seconds := to.at.Sub(from.at).Seconds()
	m.rate = append(m.rate, float64(to.forwarded-from.forwarded)/seconds)
	m.cpu = append(m.cpu, (to.cpu-from.cpu).Seconds()/seconds)
	peak, err := machine.PeakMemory(pid)
	m.peak = append(m.peak, peak)
	if err != nil || !idle {
		return err
	}
	return sample(pid, d, &m.after)
}

// sample samples the resident memory of process pid for d, and appends the median to values.
func sample(pid int, d time.Duration, values *[]float64) error {
	var seen []float64
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(d / 10)
		rss, _, err := machine.Memory(pid)
		if err != nil {
			return err
		}
		seen = append(seen, rss)
	}
	*values = append(*values, median(seen))
	return nil
}

// measure sends to the contender and, at the same time, directly to a receiver, so that other load
// on the machine disturbs both equally.
func (y *latency) measure(ctx context.Context, p *process, d time.Duration) error {
	alone, err := startSink(ctx)
	if err != nil {
		return err
	}
	defer alone.close()
	var loads []*load
	for _, addr := range []string{p.addr, alone.addr} {
		l, err := send(ctx, addr, forms[0], moderateRate)
		if err != nil {
			return err
		}
		loads = append(loads, l)
	}
	time.Sleep(warmUp + d)
	if err := errors.Join(loads[0].stop(), loads[1].stop()); err != nil {
		return err
	}
	p50, p99 := loads[0].quantiles()
	_, bare := loads[1].quantiles()
	y.p50, y.p99, y.added = append(y.p50, p50), append(y.p99, p99), append(y.added, p99-bare)
	return nil
}
