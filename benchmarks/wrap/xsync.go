package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument/wrap"
)

// against returns a case with a wrapped and a bare subject. The functions wrapped and bare set up a
// subject, and return a function that performs one operation and one that tears the subject down.
func against(name string, wrapped, bare func() (operation, stop func()), bars ...harness.Bar) harness.Case {
	subject := func(name string, open func() (operation, stop func())) harness.Subject {
		return harness.Subject{Name: name, New: func() (func(int), func()) {
			operation, stop := open()
			return func(n int) {
				for range n {
					operation()
				}
			}, stop
		}}
	}
	return harness.Case{
		Name:     name,
		Subjects: []harness.Subject{subject("wrapped", wrapped), subject("bare", bare)},
		Bars:     bars,
	}
}

// fast is the target for operations that do not wait: at most 60 ns more than the bare subject.
var fast = harness.Bar{Peer: "bare", Ratio: 1, Plus: 60 * time.Nanosecond}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the names are not in use, and the settings are valid
	}
	return v
}

func xsyncCases() []harness.Case {
	return slices.Concat(
		semaphoreCases(),
		channelCases(),
		[]harness.Case{groupCase(), pipelineCase(), syncPoolCase()},
		taskCases(),
	)
}

type permits interface {
	Acquire(ctx context.Context, n int64) error
	Release(n int64)
}

func semaphoreCases() []harness.Case {
	ctx := context.Background()
	plain := func(p permits) func() {
		return func() {
			_ = p.Acquire(ctx, 1)
			p.Release(1)
		}
	}
	wrapped := func() (func(), func()) {
		s := must(wrap.NewSemaphore("benchmark", 16))
		return plain(s), s.Close
	}
	bare := func() (func(), func()) { return plain(semaphore.NewWeighted(16)), nil }
	blocking := func(p permits) func(int) {
		return func(n int) {
			harness.Parallel(64, n, func(n int) {
				for range n {
					_ = p.Acquire(ctx, 1)
					runtime.Gosched() // so that other goroutines find no free permits
					p.Release(1)
				}
			})
		}
	}
	return []harness.Case{
		against("semaphore", wrapped, bare, fast),
		{Name: "semaphore, 64 goroutines on 2, forced to block", Subjects: []harness.Subject{
			{Name: "wrapped", New: func() (func(int), func()) {
				s := must(wrap.NewSemaphore("benchmark", 2))
				return blocking(s), s.Close
			}},
			{Name: "bare", New: func() (func(int), func()) { return blocking(semaphore.NewWeighted(2)), nil }},
		}},
	}
}

func channelCases() []harness.Case {
	ctx := context.Background()
	return []harness.Case{against("channel", func() (func(), func()) {
		s := must(wrap.NewChannel("benchmark", make(chan struct{}, 16)))
		return func() {
			_ = s.Acquire(ctx)
			s.Release()
		}, s.Close
	}, func() (func(), func()) {
		ch := make(chan struct{}, 16)
		return func() {
			select {
			case ch <- struct{}{}:
			case <-ctx.Done():
			}
			<-ch
		}, nil
	}, fast)}
}

type group interface {
	Go(f func() error)
	Wait() error
}

// groupCase returns a case that runs functions one after the other, so that the scheduling of
// goroutines is not part of the comparison.
func groupCase() harness.Case {
	plain := func(g group) func() {
		f := func() error { return nil }
		return func() {
			g.Go(f)
			_ = g.Wait()
		}
	}
	return against("errgroup, Go and Wait", func() (func(), func()) {
		s := must(wrap.NewGroups("benchmark"))
		return plain(s.Group(new(errgroup.Group))), s.Close
	}, func() (func(), func()) { return plain(new(errgroup.Group)), nil }, fast)
}

// pipelineCase returns a case with two functions that communicate. Its time would include a thread
// switch per item if the wrapper locked the goroutine of one of them to its thread.
func pipelineCase() harness.Case {
	wrapped := peers.Pipeline("wrapped", func() (func() peers.Goer, func()) {
		s := must(wrap.NewGroups("benchmark"))
		return func() peers.Goer { return s.Group(new(errgroup.Group)) }, s.Close
	})
	return harness.Case{
		Name:     "errgroup, pipeline of two functions over a channel",
		Subjects: []harness.Subject{wrapped, peers.ErrgroupPipeline()}, Procs: []int{1, 0},
		Bars: []harness.Bar{{Peer: peers.Errgroup, Ratio: 1.1}},
	}
}

// inline is a task pool without goroutines, so that only the wrapper's cost is measured.
type inline struct{}

func (inline) Submit(task func()) error {
	task()
	return nil
}

func (inline) Running() int { return 0 }
func (inline) Waiting() int { return 0 }
func (inline) Cap() int     { return 1 }

// taskCases returns the cases for task pools. Only the pool without goroutines has a target:
// handing a task to a worker takes 400 ns, and varies by more than the cost of a wrapper.
func taskCases() []harness.Case {
	var done sync.WaitGroup
	wait := func(submit func(func()) error) func() {
		return func() {
			done.Add(1)
			_ = submit(done.Done)
			done.Wait()
		}
	}
	nothing := func() {}
	return []harness.Case{
		against("task pool without goroutines", func() (func(), func()) {
			s := must(wrap.NewTaskPool("benchmark", "inline", inline{}))
			return func() { _ = s.Submit(nothing) }, s.Close
		}, func() (func(), func()) {
			var p wrap.Submitter = inline{}
			return func() { _ = p.Submit(nothing) }, nil
		}, fast),
		against("ants, Submit and wait", func() (func(), func()) {
			p := must(ants.NewPool(16))
			s := must(wrap.NewTaskPool("benchmark", "ants", p))
			return wait(s.Submit), func() { s.Close(); p.Release() }
		}, func() (func(), func()) {
			p := must(ants.NewPool(16))
			return wait(p.Submit), p.Release
		}),
	}
}

func syncPoolCase() harness.Case {
	buffers := func() *sync.Pool { return &sync.Pool{New: func() any { return new([64]byte) }} }
	return against("sync.Pool", func() (func(), func()) {
		p := must(wrap.NewSyncPool("benchmark", buffers()))
		return func() { p.Put(p.Get()) }, p.Close
	}, func() (func(), func()) {
		p := buffers()
		return func() { p.Put(p.Get()) }, nil
	}, fast)
}
