// Package peers contains the pools with which our pools are compared. The pools of each kind have a
// common interface.
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
)

// Queue is the number of tasks that may wait in pools with a bounded queue.
const Queue = 1024

// Task is one task in all the forms that the pools accept, so that no pool pays for an adapter.
type Task struct {
	Plain   func()
	Err     func() error
	Context func(context.Context) error
}

// NewTask returns a task that calls the function work.
func NewTask(work func()) Task {
	return Task{
		Plain:   work,
		Err:     func() error { work(); return nil },
		Context: func(context.Context) error { work(); return nil },
	}
}

// Nothing is a task that does nothing.
var Nothing = Task{
	Plain:   func() {},
	Err:     func() error { return nil },
	Context: func(context.Context) error { return nil },
}

// Workers is a worker pool.
type Workers struct {
	Submit func(Task) // blocks while the queue is full
	Stop   func()     // waits for all tasks
}

// NewWorkers creates a pool of n workers.
type NewWorkers func(n int) Workers

// The names of the pools.
const (
	Pond       = "pond Go"
	PondPlain  = "pond Go, default queue"
	Channel    = "channel"
	Gopool     = "gopool"
	Conc       = "conc"
	Errgroup   = "errgroup"
	Workerpool = "workerpool"
	Ants       = "ants"
)

// Orders maps the name of each pool to the order in which the pool starts tasks and serves waiting
// callers of Submit.
var Orders = map[string]string{
	Pond:       "tasks FIFO, callers none",
	PondPlain:  "FIFO",
	Channel:    "strict FIFO",
	Gopool:     "FIFO",
	Conc:       "strict FIFO",
	Errgroup:   "callers FIFO, tasks none",
	Workerpool: "FIFO",
	Ants:       "none",
}

// WorkerPools holds every peer of pools.Workers by name.
var WorkerPools = map[string]NewWorkers{
	Pond: PondWithQueue(Queue),
	PondPlain: func(n int) Workers { // the queue is unbounded
		p := pond.NewPool(n)
		return Workers{func(t Task) { must(p.Go(t.Plain)) }, p.StopAndWait}
	},
	Channel: ChannelWithQueue(Queue),
	Gopool: func(n int) Workers { // gopool cannot wait for tasks to end, and its queue is unbounded
		p := gopool.NewPool("peer", int32(n), gopool.NewConfig())
		return Workers{func(t Task) { p.Go(t.Plain) }, func() {}}
	},
	Conc: func(n int) Workers {
		p := pool.New().WithMaxGoroutines(n)
		return Workers{func(t Task) { p.Go(t.Plain) }, p.Wait}
	},
	Errgroup: func(n int) Workers {
		var g errgroup.Group
		g.SetLimit(n)
		return Workers{func(t Task) { g.Go(t.Err) }, func() { must(g.Wait()) }}
	},
	Workerpool: func(n int) Workers {
		p := workerpool.New(n)
		return Workers{func(t Task) { p.Submit(t.Plain) }, p.StopWait}
	},
	Ants: func(n int) Workers {
		p, err := ants.NewPool(n)
		must(err)
		return Workers{func(t Task) { must(p.Submit(t.Plain)) }, p.Release}
	},
}

// PondWithQueue returns a constructor of pond's pool with a queue of at most queue tasks.
func PondWithQueue(queue int) NewWorkers {
	return func(n int) Workers {
		p := pond.NewPool(n, pond.WithQueueSize(queue))
		return Workers{func(t Task) { must(p.Go(t.Plain)) }, p.StopAndWait}
	}
}

// ChannelWithQueue returns a constructor of a pool as programs that use no library write it: n
// goroutines that receive tasks from a channel.
func ChannelWithQueue(queue int) NewWorkers {
	return func(n int) Workers {
		tasks := make(chan func(), queue)
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				for task := range tasks {
					task()
				}
			})
		}
		return Workers{
			Submit: func(t Task) { tasks <- t.Plain },
			Stop: func() {
				close(tasks)
				wg.Wait()
			},
		}
	}
}

// Ours returns a constructor of our pool with opts.
func Ours(opts ...instrument.Option) NewWorkers { return OursWithQueue(Queue, opts...) }

// OursWithQueue returns a constructor of our pool with opts and a queue of the given size. If queue
// is 0, the queue has the default size.
func OursWithQueue(queue int, opts ...instrument.Option) NewWorkers {
	return func(n int) Workers {
		p := OurWorkers(n, queue, opts...)
		ctx := context.Background()
		return Workers{
			Submit: func(t Task) { must(p.Submit(ctx, t.Context)) },
			Stop:   func() { must(p.Shutdown(ctx)) },
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err) // a benchmark cannot continue
	}
}
