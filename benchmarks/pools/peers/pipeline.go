package peers

import (
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
)

// Goer is the common interface of groups of tasks.
type Goer interface {
	Go(f func() error)
	Wait() error
}

// items is the number of items that go through a pipeline. It is small enough that a round creates
// many pipelines.
const items = 1000

// Pipeline returns a subject whose operation sends one item from one task to another over an
// unbuffered channel. Each pipeline has its own group, as if it served one request.
func Pipeline(name string, open func() (newGroup func() Goer, stop func())) harness.Subject {
	return harness.Subject{Name: name, Order: "none", New: func() (func(int), func()) {
		newGroup, stop := open()
		return func(n int) {
			for n > 0 {
				g := newGroup()
				pipe(g, min(n, items))
				must(g.Wait())
				n -= items
			}
		}, stop
	}}
}

func pipe(g Goer, n int) {
	ch := make(chan int)
	g.Go(func() error {
		for i := range n {
			ch <- i
		}
		close(ch)
		return nil
	})
	g.Go(func() error {
		for range ch {
			continue
		}
		return nil
	})
}

// ErrgroupPipeline returns the pipeline benchmark for a plain errgroup.Group.
func ErrgroupPipeline() harness.Subject {
	return Pipeline(Errgroup, func() (func() Goer, func()) { return func() Goer { return new(errgroup.Group) }, nil })
}

// workersGroup runs tasks on a shared pool of workers.
type workersGroup struct {
	submit  func(Task)
	running sync.WaitGroup
}

// OnWorkers returns a function that creates groups whose tasks run on w.
func OnWorkers(w Workers) func() Goer {
	return func() Goer { return &workersGroup{submit: w.Submit} }
}

// Go implements [Goer].
func (g *workersGroup) Go(f func() error) {
	g.running.Add(1)
	g.submit(NewTask(func() {
		defer g.running.Done()
		must(f())
	}))
}

// Wait implements [Goer].
func (g *workersGroup) Wait() error {
	g.running.Wait()
	return nil
}
