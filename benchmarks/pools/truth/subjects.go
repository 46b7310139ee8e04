package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// subject is a pool whose slots are used, and which reports for how long. All callers of use have
// returned before finish is called.
type subject struct {
	use    func(held func())
	await  func(held func()) // is use, and returns when that has ended
	finish func()            // returns when all uses have ended
	stats  func() instrument.Stats
	stop   func()
	truth  *truth
}

// truth is how long slots were used, between a lower and an upper bound that the clock gave on both
// sides of each change.
type truth struct{ least, most atomic.Int64 }

// inside is held, and its length is the lower bound.
func (t *truth) inside(held func()) {
	start := time.Now()
	held()
	t.least.Add(int64(time.Since(start)))
}

// around calls use, and its length is the upper bound.
func (t *truth) around(use func()) {
	start := time.Now()
	use()
	t.most.Add(int64(time.Since(start)))
}

// perTask is what a worker may take before and after a task and count as use.
const perTask = 150 * time.Nanosecond

var subjects = []struct {
	kind      string
	open      func(slots int) subject
	histogram bool // of uses: a semaphore does not know which permits come back
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
			defer running.Done()
			task()
			return nil
		})
		if err != nil {
			panic(err) // the pool is open
		}
	}
	use := func(held func()) {
		submit(func() {
			t.most.Add(int64(perTask))
			t.around(func() { t.inside(held) })
		})
	}
	// A slot may count as used from when a task has it, even if the worker is not running yet: the
	// upper bound includes that.
	await := func(held func()) {
		t.around(func() {
			ended := make(chan struct{})
			submit(func() {
				t.inside(held)
				close(ended)
			})
			<-ended
		})
	}
	return subject{use, await, running.Wait, p.Stats, p.Close, t}
}
