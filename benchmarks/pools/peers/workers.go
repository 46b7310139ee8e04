// Package peers has the pools that ours are compared with behind one interface each.
package peers

import (
	"context"
	"sync"

	"github.com/alitto/pond/v2"
	"github.com/bytedance/gopkg/util/gopool"
	"github.com/gammazero/workerpool"
	"github.com/panjf2000/ants/v2"
	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// Queue is how many tasks may wait, where a pool has a bound.
const Queue = 1024

// Task is one task in the shapes that pools take, so that none pays for an adapter.
type Task struct {
	Plain   func()
	Err     func() error
	Context func(context.Context) error
}

// NewTask returns the task that calls work.
func NewTask(work func()) Task {
	return Task{
		Plain:   work,
		Err:     func() error { work(); return nil },
		Context: func(context.Context) error { work(); return nil },
	}
}

// Nothing is the empty task.
var Nothing = Task{
	Plain:   func() {},
	Err:     func() error { return nil },
	Context: func(context.Context) error { return nil },
}

// Workers is a worker pool.
type Workers interface {
	// Submit blocks while the queue is full.
	Submit(Task)
	// Stop waits for all tasks.
	Stop()
}

// NewWorkers makes a worker pool of n workers.
type NewWorkers func(n int) Workers

// The names of the pools.
const (
	Pond       = "pond Go"
	Channel    = "channel"
	Gopool     = "gopool"
	Conc       = "conc"
	Errgroup   = "errgroup"
	Workerpool = "workerpool"
	Ants       = "ants"
)

// WorkerPools has every peer of pools.Workers, by name.
var WorkerPools = map[string]NewWorkers{
	Pond:       func(n int) Workers { return pondWorkers{pond.NewPool(n, pond.WithQueueSize(Queue))} },
	Channel:    newChannel,
	Gopool:     func(n int) Workers { return &gopoolWorkers{pool: gopool.NewPool("peer", int32(n), gopool.NewConfig())} },
	Conc:       func(n int) Workers { return concWorkers{pool.New().WithMaxGoroutines(n)} },
	Errgroup:   newErrgroup,
	Workerpool: func(n int) Workers { return workerpoolWorkers{workerpool.New(n)} },
	Ants:       newAnts,
}

// Ours returns a maker of our pool with options.
func Ours(opts ...instrument.Option) NewWorkers {
	return func(n int) Workers {
		p, err := pools.NewWorkers("ours", n, pools.WorkersConfig{Queue: Queue}, opts...)
		must(err)
		return ours{p}
	}
}

type ours struct{ *pools.Workers }

func (o ours) Submit(t Task) { must(o.Workers.Submit(context.Background(), t.Context)) }
func (o ours) Stop()         { must(o.Shutdown(context.Background())) }

type pondWorkers struct{ pond.Pool }

func (p pondWorkers) Submit(t Task) { must(p.Go(t.Plain)) }
func (p pondWorkers) Stop()         { p.StopAndWait() }

// channel is what Go itself offers: n goroutines that receive tasks.
type channel struct {
	tasks chan func()
	wg    sync.WaitGroup
}

func newChannel(n int) Workers {
	c := &channel{tasks: make(chan func(), Queue)}
	for range n {
		c.wg.Go(func() {
			for task := range c.tasks {
				task()
			}
		})
	}
	return c
}

func (c *channel) Submit(t Task) { c.tasks <- t.Plain }

func (c *channel) Stop() {
	close(c.tasks)
	c.wg.Wait()
}

// gopoolWorkers has no way to wait for the tasks, and an unbounded queue.
type gopoolWorkers struct{ pool gopool.Pool }

func (g *gopoolWorkers) Submit(t Task) { g.pool.Go(t.Plain) }
func (g *gopoolWorkers) Stop()         {}

type concWorkers struct{ *pool.Pool }

func (c concWorkers) Submit(t Task) { c.Go(t.Plain) }
func (c concWorkers) Stop()         { c.Wait() }

type errgroupWorkers struct{ *errgroup.Group }

func newErrgroup(n int) Workers {
	g := new(errgroup.Group)
	g.SetLimit(n)
	return errgroupWorkers{g}
}

func (e errgroupWorkers) Submit(t Task) { e.Go(t.Err) }
func (e errgroupWorkers) Stop()         { must(e.Wait()) }

type workerpoolWorkers struct{ *workerpool.WorkerPool }

func (w workerpoolWorkers) Submit(t Task) { w.WorkerPool.Submit(t.Plain) }
func (w workerpoolWorkers) Stop()         { w.StopWait() }

type antsWorkers struct{ *ants.Pool }

func newAnts(n int) Workers {
	p, err := ants.NewPool(n)
	must(err)
	return antsWorkers{p}
}

func (a antsWorkers) Submit(t Task) { must(a.Pool.Submit(t.Plain)) }
func (a antsWorkers) Stop()         { a.Release() }

func must(err error) {
	if err != nil {
		panic(err) // a benchmark has nothing better to do
	}
}
