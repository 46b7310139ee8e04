package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// subject is a pool that reports how long its slots were used. finish must not be called before all
// calls to the function use have returned.
type subject struct {
	use    func(held func())
	await  func(held func()) // like use, but waits until the use has completed
	finish func()            // waits until all uses have completed
	stats  func() instrument.Stats
	stop   func()
	truth  *truth
}

// truth holds a lower and an upper bound, in nanoseconds, on how long slots were used. The lower
// bound is the time spent in the functions that run while a slot is held. The upper bound also
// includes the time spent acquiring and releasing the slot or, for tasks of Workers that are not
// awaited, all that the task does, and perTask.
type truth struct{ lower, upper atomic.Int64 }

// inside runs the function held and adds its duration to the lower bound.
func (t *truth) inside(held func()) {
	start := time.Now()
	held()
	t.lower.Add(int64(time.Since(start)))
}

// around runs the function use and adds its duration to the upper bound.
func (t *truth) around(use func()) {
	start := time.Now()
	use()
	t.upper.Add(int64(time.Since(start)))
}

// perTask is how much of the time before and after a task a worker may count as part of the use.
const perTask = 150 * time.Nanosecond

var subjects = []struct {
	kind      string
	open      func(slots int) subject
	histogram bool // the pool has a histogram of uses; a semaphore cannot match releases to acquisitions
}{
	{"Semaphore", openSemaphore, false},
	{"Resources", openResources, true},
	{"Workers", openWorkers, true},
}

func openSemaphore(slots int) subject {
	s, t := peers.Semaphore(int64(slots)), new(truth)
	ctx := context.Background()
	use := func(held func()) {
		t.around(func() {
			_ = s.Acquire(ctx, 1) // it cannot fail
			t.inside(held)
			s.Release(1)
		})
	}
	return subject{use, use, func() {}, s.Stats, s.Close, t}
}

func openResources(slots int) subject {
	p, t := peers.Resources(slots), new(truth)
	ctx := context.Background()
	use := func(held func()) {
		t.around(func() {
			lease, err := p.Acquire(ctx)
			if err != nil {
				panic(err) // the constructor cannot fail
			}
			t.inside(held)
			lease.Release()
		})
	}
	return subject{use, use, func() {}, p.Stats, p.Close, t}
}

func openWorkers(slots int) subject {
	p, t := peers.OurWorkers(slots, 0), new(truth)
	ctx := context.Background()
	var running sync.WaitGroup
	submit := func(task func()) {
		running.Add(1)
		err := p.Submit(ctx, func(context.Context) error {
			task()
			return nil
		})
		if err != nil {
			panic(err) // the pool is open
		}
	}
	// The upper bound includes what the task does for the benchmark: that is part of the use too.
	use := func(held func()) {
		submit(func() {
			start := time.Now()
			t.inside(held)
			running.Done()
			t.upper.Add(int64(time.Since(start) + perTask))
		})
	}
	// A slot may count as used as soon as it is assigned to a task, even if its worker is not
	// running yet. The upper bound includes that time.
	await := func(held func()) {
		t.around(func() {
			ended := make(chan struct{})
			submit(func() {
				t.inside(held)
				running.Done()
				close(ended)
			})
			<-ended
		})
	}
	return subject{use, await, running.Wait, p.Stats, p.Close, t}
}
