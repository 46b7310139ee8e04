package peers

import (
	"context"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
)

// The latency cases use the gates in this file.

// PermitGate returns a gate for s, a semaphore with one permit.
func PermitGate(s Permits, closePool func()) harness.Gate {
	must(s.Acquire(context.Background(), 1))
	return harness.Gate{
		Acquire: func(ctx context.Context) error { return s.Acquire(ctx, 1) },
		Release: func() { s.Release(1) },
		Waits:   func() bool { return !s.TryAcquire(0) }, // fails only if a request is waiting
		Stop: func() {
			s.Release(1)
			if closePool != nil {
				closePool()
			}
		},
	}
}

// LenderGate returns a gate for p, a pool of one resource.
func LenderGate(p Lender) harness.Gate {
	p.Fill()
	giveBack, err := p.Borrow(context.Background())
	must(err)
	return harness.Gate{
		Acquire: func(ctx context.Context) error {
			next, err := p.Borrow(ctx)
			if err == nil {
				giveBack = next
			}
			return err
		},
		Release: func() { giveBack() },
		Waits:   waitsFor(p),
		Stop: func() {
			giveBack()
			p.Close()
		},
	}
}

// waitsFor returns a function that reports whether a request is waiting for p. It returns nil for
// puddle, which does not count waiting requests.
func waitsFor(p Lender) func() bool {
	if counted, ok := p.(interface{ Pending() int }); ok {
		return func() bool { return counted.Pending() > 0 }
	}
	return nil
}

// SubmitGate returns a gate for a pool with one worker and a queue of one task, both in use.
// Acquire submits another task, and Release lets the running task return.
func SubmitGate(submit func(context.Context, Task) error, waits func() bool, stop func()) harness.Gate {
	end := make(chan struct{})
	task := NewTask(func() { <-end })
	for range 2 {
		must(submit(context.Background(), task))
	}
	return harness.Gate{
		Acquire: func(ctx context.Context) error { return submit(ctx, task) },
		Release: func() { end <- struct{}{} },
		Waits:   waits,
		Stop: func() {
			close(end)
			stop()
		},
	}
}

// OurSubmit creates our pool with one worker and a queue of one task.
func OurSubmit() (submit func(context.Context, Task) error, waits func() bool, stop func()) {
	p := OurWorkers(1, 1)
	submit = func(ctx context.Context, t Task) error { return p.Submit(ctx, t.Context) }
	waits = func() bool { return p.Stats().Pending.Or(0) > 1 } // one is in the queue
	return submit, waits, p.Close
}

// ChannelSubmit creates a pool with one worker and a queue of one task from a channel, which does
// not count waiting requests.
func ChannelSubmit() (submit func(context.Context, Task) error, waits func() bool, stop func()) {
	tasks := make(chan func(), 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for task := range tasks {
			task()
		}
	}()
	return func(ctx context.Context, t Task) error {
			select {
			case tasks <- t.Plain:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, nil, func() {
			close(tasks)
			<-ended
		}
}
