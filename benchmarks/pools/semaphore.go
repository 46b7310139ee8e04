package main

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// permits is what the semaphores have in common.
type permits interface {
	Acquire(ctx context.Context, n int64) error
	TryAcquire(n int64) bool
	Release(n int64)
}

// channel is a semaphore made of a buffered channel, without weights: what Go itself offers.
type channel chan struct{}

func (c channel) Acquire(ctx context.Context, _ int64) error {
	select {
	case c <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c channel) TryAcquire(int64) bool {
	select {
	case c <- struct{}{}:
		return true
	default:
		return false
	}
}

func (c channel) Release(int64) { <-c }

// semaphores returns every semaphore of a size as a subject that does what use does.
func semaphores(size int64, use func(p permits, n int)) []harness.Subject {
	peer := func(name string, open func() permits) harness.Subject {
		return harness.Subject{Name: name, New: func() (func(int), func()) {
			p := open()
			return func(n int) { use(p, n) }, nil
		}}
	}
	return []harness.Subject{
		ourSemaphore("poolgauge", size, use),
		ourSemaphore("poolgauge, telemetry off", size, use, instrument.WithoutTelemetry()),
		peer("x/sync", func() permits { return semaphore.NewWeighted(size) }),
		peer("channel", func() permits { return make(channel, size) }),
	}
}

func ourSemaphore(name string, size int64, use func(p permits, n int), opts ...instrument.Option) harness.Subject {
	return harness.Subject{Name: name, New: func() (func(int), func()) {
		s, err := pools.NewSemaphore("benchmark", size, pools.SemaphoreConfig{}, opts...)
		if err != nil {
			panic(err) // the name is free and the size is right
		}
		return func(n int) { use(s, n) }, s.Close
	}}
}

// among64 makes 64 goroutines share the operations.
func among64(use func(p permits, n int)) func(permits, int) {
	return func(p permits, n int) {
		harness.Parallel(64, n, func(n int) { use(p, n) })
	}
}

func semaphoreCases() []harness.Case {
	ctx := context.Background()
	plain := func(p permits, n int) {
		for range n {
			_ = p.Acquire(ctx, 1) // the background context cannot fail
			p.Release(1)
		}
	}
	blocking := func(p permits, n int) {
		for range n {
			_ = p.Acquire(ctx, 1)
			runtime.Gosched() // so that others find the permits taken
			p.Release(1)
		}
	}
	succeed := func(p permits, n int) {
		for range n {
			if p.TryAcquire(1) {
				p.Release(1)
			}
		}
	}
	fail := func(p permits, n int) {
		for p.TryAcquire(1) {
			continue // until none is left
		}
		for range n {
			p.TryAcquire(1)
		}
	}
	// The telemetry of an operation costs at most 10 ns.
	bars := func(ratio float64) []harness.Bar {
		return []harness.Bar{
			{Peer: "x/sync", Ratio: ratio},
			{Peer: "poolgauge, telemetry off", Ratio: 1, Plus: 10 * time.Nanosecond},
		}
	}
	procs := []int{1, 2, 0}
	return []harness.Case{
		{Name: "semaphore alone", Subjects: semaphores(16, plain), Bars: bars(0.7), NoAlloc: true},
		{Name: "semaphore, 64 goroutines on 2", Subjects: semaphores(2, among64(plain)), Bars: bars(0.5)},
		{
			Name: "semaphore, 64 goroutines on 2, forced to block", Subjects: semaphores(2, among64(blocking)),
			Bars: bars(0.9)[:1], NoAlloc: true, Procs: procs,
		},
		telemetryOfWaits("semaphore, 64 goroutines on 2, forced to block, telemetry",
			ourSemaphore("poolgauge", 2, among64(blocking)),
			ourSemaphore("telemetry off", 2, among64(blocking), instrument.WithoutTelemetry()),
		),
		{Name: "semaphore, TryAcquire that succeeds", Subjects: semaphores(16, succeed), Bars: bars(1), NoAlloc: true},
		{Name: "semaphore, TryAcquire that fails", Subjects: semaphores(2, fail), Bars: bars(1), NoAlloc: true},
		{Name: "semaphore, 64 goroutines on 64", Subjects: semaphores(64, among64(plain)), Procs: procs},
	}
}
