package main

import (
	"context"
	"runtime"

	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
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
	subject := func(name string, open func() (permits, func())) harness.Subject {
		return harness.Subject{Name: name, New: func() (func(int), func()) {
			p, stop := open()
			return func(n int) { use(p, n) }, stop
		}}
	}
	return []harness.Subject{
		subject("x/sync", func() (permits, func()) { return semaphore.NewWeighted(size), nil }),
		subject("channel", func() (permits, func()) { return make(channel, size), nil }),
	}
}

// among makes goroutines share the operations.
func among(goroutines int, use func(p permits, n int)) func(permits, int) {
	return func(p permits, n int) {
		harness.Parallel(goroutines, n, func(n int) { use(p, n) })
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
	return []harness.Case{
		{Name: "semaphore alone", Subjects: semaphores(16, plain)},
		{Name: "semaphore, 64 goroutines on 2", Subjects: semaphores(2, among(64, plain)), Procs: []int{1, 2, 0}},
		{Name: "semaphore, 64 goroutines on 2, forced to block", Subjects: semaphores(2, among(64, blocking)), Procs: []int{1, 2, 0}},
		{Name: "semaphore, 64 goroutines on 64", Subjects: semaphores(64, among(64, plain)), Procs: []int{1, 2, 0}},
		{Name: "semaphore, TryAcquire that succeeds", Subjects: semaphores(16, succeed)},
		{Name: "semaphore, TryAcquire that fails", Subjects: semaphores(2, fail)},
	}
}
