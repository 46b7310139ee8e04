package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/ownfigures"
	"github.com/poolgauge/poolgauge/pools"
)

// shop is a real program with one pool. Requests arrive at random times and give up after a second.
type shop struct {
	request func(ctx context.Context, n int64) // requests n slots and uses them
	stats   func() instrument.Stats
	close   func()

	ctx      context.Context // done when the program ends
	requests sync.WaitGroup

	mu    sync.Mutex // guards the fields below, which faults change
	rate  float64    // requests per second
	slots func() int64
	task  func() error
}

const (
	liveWindow   = 500 * time.Millisecond
	liveHealthy  = 8 // number of windows before the fault
	liveSettling = 3 // number of windows after the start of the fault that are not scored
	liveScored   = 8 // number of windows that are scored
	liveSlots    = 16
	liveUse      = 20 * time.Millisecond
)

// liveFault is a fault of a real program, or no fault.
type liveFault struct {
	name   string
	kind   kind
	inject func(s *shop)
	right  []diagnose.Verdict
}

// liveFaults lists the faults to cause in real programs. CPU-bound faults may be judged Starved,
// since other processes use the machine too.
var liveFaults = []liveFault{
	{"healthy: busy", worker, func(*shop) {}, []diagnose.Verdict{diagnose.OK}},
	{"healthy: idle", resource, func(s *shop) { s.rate /= 20 }, []diagnose.Verdict{diagnose.OK, diagnose.Oversized}},
	{"healthy: requests of several sizes", semaphore, func(s *shop) {
		s.slots, s.rate = func() int64 { return 1 + rand.Int64N(2) }, s.rate/1.5
	}, []diagnose.Verdict{diagnose.OK, diagnose.Undetermined}},
	{"too small", worker, func(s *shop) { s.rate *= 3.2 }, []diagnose.Verdict{diagnose.TooSmall}},
	{"too small", resource, func(s *shop) { s.rate *= 3.2 }, []diagnose.Verdict{diagnose.TooSmall}},
	{"leaking", resource, func(s *shop) {
		s.task = func() error { time.Sleep(liveUse); return leakOf(rand.IntN(80) == 0) }
	}, []diagnose.Verdict{diagnose.Leaking}},
	{
		"downstream slow",
		resource,
		func(s *shop) { s.task = sleep(5 * liveUse) },
		[]diagnose.Verdict{diagnose.DownstreamSlow},
	},
	{
		"downstream slow",
		worker,
		func(s *shop) { s.task = sleep(5 * liveUse) },
		[]diagnose.Verdict{diagnose.DownstreamSlow},
	},
	{"lock contention", worker, lockedTasks, []diagnose.Verdict{diagnose.LockContention}},
	{"CPU saturated", worker, func(s *shop) {
		s.task, s.rate = func() error { burn(5 * time.Millisecond); return nil }, 300*float64(runtime.GOMAXPROCS(0))
	}, []diagnose.Verdict{diagnose.CPUSaturated, diagnose.Starved}},
	{"head of line", semaphore, func(s *shop) {
		s.slots = func() int64 {
			if rand.IntN(8) == 0 {
				return liveSlots - 2
			}
			return 1
		}
	}, []diagnose.Verdict{diagnose.HeadOfLine}},
	{"failing", worker, func(s *shop) {
		s.task = func() error { time.Sleep(liveUse); return failOf(rand.IntN(10) > 0) }
	}, []diagnose.Verdict{diagnose.Failing}},
}

func sleep(d time.Duration) func() error {
	return func() error { time.Sleep(d); return nil }
}

// lockedTasks makes tasks spend most of their time waiting for one lock. The task that holds the
// lock sleeps.
func lockedTasks(s *shop) {
	var mu sync.Mutex
	s.task = func() error {
		mu.Lock()
		defer mu.Unlock()
		time.Sleep(3 * time.Millisecond)
		return nil
	}
	s.rate = 500
}

// burn uses about d of CPU time.
func burn(d time.Duration) {
	var x uint64 = 88172645463325252
	for range int(d.Seconds() * iterations()) {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	runtime.KeepAlive(x) // keeps the compiler from removing the loop
}

// iterations returns how many iterations of burn's loop take a second of CPU time.
var iterations = sync.OnceValue(func() float64 {
	const n = 20_000_000
	begin := ownfigures.Read(time.Now()).BusyTime
	var x uint64 = 88172645463325252
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	runtime.KeepAlive(x)
	return n / (ownfigures.Read(time.Now()).BusyTime - begin)
})

// open starts a healthy program that uses 30% of its slots.
func open(ctx context.Context, k kind) (*shop, error) {
	s := &shop{
		ctx:   ctx,
		rate:  0.3 * liveSlots / liveUse.Seconds(),
		slots: func() int64 { return 1 },
		task:  sleep(liveUse),
	}
	var err error
	switch k {
	case worker:
		err = s.workers()
	case resource:
		err = s.resources()
	default:
		err = s.semaphore()
	}
	return s, err
}

func (s *shop) workers() error {
	p, err := pools.NewWorkers("live", liveSlots, pools.WorkersConfig{})
	if err != nil {
		return err
	}
	s.stats, s.close = p.Stats, p.Close
	s.request = func(ctx context.Context, _ int64) {
		_ = p.Submit(ctx, func(context.Context) error { return s.runTask() })
	}
	return nil
}

func (s *shop) resources() error {
	p, err := pools.NewResources(
		"live",
		liveSlots,
		func(context.Context) (int, error) { return 0, nil },
		pools.ResourcesConfig[int]{},
	)
	if err != nil {
		return err
	}
	s.stats, s.close = p.Stats, p.Close
	s.request = func(ctx context.Context, _ int64) {
		if lease, err := p.Acquire(ctx); err == nil {
			defer lease.Release()
			s.use()
		}
	}
	return nil
}

func (s *shop) semaphore() error {
	p, err := pools.NewSemaphore("live", liveSlots, pools.SemaphoreConfig{})
	if err != nil {
		return err
	}
	s.stats, s.close = p.Stats, p.Close
	s.request = func(ctx context.Context, n int64) {
		if p.Acquire(ctx, n) == nil {
			defer p.Release(n)
			s.use()
		}
	}
	return nil
}

// runTask runs the current task function.
func (s *shop) runTask() error {
	s.mu.Lock()
	task := s.task
	s.mu.Unlock()
	return task()
}

// use runs the current task while the caller holds a slot. If the task leaks, use does not return
// until the program ends.
func (s *shop) use() {
	if errors.Is(s.runTask(), errLeaks) {
		<-s.ctx.Done()
	}
}

func (s *shop) serve() {
	s.mu.Lock()
	n := s.slots()
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, time.Second)
	defer cancel()
	s.request(ctx, n)
}

var (
	errFailed = errors.New("failed")
	errLeaks  = errors.New("never released")
)

func failOf(fails bool) error {
	if fails {
		return errFailed
	}
	return nil
}

func leakOf(leaks bool) error {
	if leaks {
		return errLeaks
	}
	return nil
}

// serveAll makes requests at the current rate until the program ends.
func (s *shop) serveAll() {
	for next := time.Now(); s.ctx.Err() == nil; {
		s.mu.Lock()
		next = next.Add(time.Duration(rand.ExpFloat64() / s.rate * float64(time.Second)))
		s.mu.Unlock()
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
		} else if wait < -liveWindow {
			next = time.Now() // the machine is too slow to keep up with the rate
		}
		s.requests.Go(s.serve)
	}
}

// stop waits for all requests and closes the pool.
func (s *shop) stop() {
	s.requests.Wait()
	s.close()
}

// runLive runs a program with fault f. It returns, for each scored window, the judge's verdict
// after that window and its verdict on that window alone.
func (f *liveFault) runLive() (held, windows []string, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := open(ctx, f.kind)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	var serving sync.WaitGroup
	serving.Go(s.serveAll)
	defer func() {
		cancel()
		serving.Wait()
		s.stop()
	}()
	var judge diagnose.Judge
	host := ownfigures.Read(time.Now())
	tick := time.NewTicker(liveWindow)
	defer tick.Stop()
	for n := range liveHealthy + liveSettling + liveScored {
		if n == liveHealthy {
			s.mu.Lock()
			f.inject(s)
			s.mu.Unlock()
		}
		<-tick.C
		stats, before := s.stats(), host
		host = ownfigures.Read(time.Now())
		holds, window := judge.See(diagnose.FiguresOf(&stats, host.At), diagnose.HostBetween(before, host))
		if n >= liveHealthy+liveSettling {
			held, windows = append(held, holds.Verdict.String()), append(windows, window.Verdict.String())
		}
	}
	return held, windows, nil
}

// liveMatrix runs a program with real pools for each of liveFaults, and prints how many windows got
// a correct verdict.
func liveMatrix(out io.Writer) error {
	iterations()
	var all, allHeld, of int
	fmt.Fprintf(
		out,
		"| fault | pool | windows right | after hysteresis | verdicts on windows |\n|---|---|---|---|---|\n",
	)
	for i := range liveFaults {
		f := &liveFaults[i]
		held, windows, err := f.runLive()
		if err != nil {
			return err
		}
		isRight := func(v string) bool {
			return slices.ContainsFunc(f.right, func(r diagnose.Verdict) bool { return r.String() == v })
		}
		right, heldRight := 0, 0
		verdicts := map[string]int{}
		for n, v := range windows {
			right += countIf(isRight(v))
			heldRight += countIf(isRight(held[n]))
			verdicts[v]++
		}
		all, allHeld, of = all+right, allHeld+heldRight, of+len(windows)
		fmt.Fprintf(
			out,
			"| %s | %s | %s | %s | %v |\n",
			f.name,
			f.kind,
			percent(right, len(windows)),
			percent(heldRight, len(windows)),
			verdicts,
		)
	}
	fmt.Fprintf(out, "| all | | %s | %s | |\n", percent(all, of), percent(allHeld, of))
	if float64(all) < 0.9*float64(of) {
		return fmt.Errorf("%s of the windows are judged right, want at least 90%%", percent(all, of))
	}
	return nil
}
