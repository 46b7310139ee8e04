package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// upTo yields the numbers from 0 to n-1.
func upTo(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// groupCases returns the cases for groups of tasks.
func groupCases() []harness.Case {
	cases := append(pipelineCases(), tenTasks(), budgetCase())
	for _, n := range []int{2, 16, 64} {
		for _, task := range []time.Duration{0, 5 * time.Microsecond, 50 * time.Microsecond} {
			cases = append(cases, eachCase(n, task), mapCase(n, task))
		}
	}
	return cases
}

// pipelineCases returns cases with two tasks that communicate. If a measurement locks a task to its
// thread, each item costs a thread switch.
func pipelineCases() []harness.Case {
	groups := func() (func() peers.Goer, func()) {
		g := peers.OurGroups()
		return func() peers.Goer { return g.Group() }, g.Close
	}
	workers := func() (func() peers.Goer, func()) {
		w := peers.OursWithQueue(0)(16)
		return peers.OnWorkers(w), w.Stop
	}
	bars := []harness.Bar{ofPeer(peers.Errgroup, 1.1)}
	pair := func(what string, open func() (func() peers.Goer, func())) harness.Case {
		return harness.Case{
			Name: "pipeline of two tasks over a channel, " + what,
			Subjects: []harness.Subject{
				peers.Pipeline("ours", open),
				peers.ErrgroupPipeline(),
			},
			Bars:  bars,
			Procs: []int{1, 0},
		}
	}
	return []harness.Case{pair("Groups", groups), pair("Workers", workers)}
}

// tenTasks returns a case with groups of ten functions that do nothing. A request might run a group
// of that size.
func tenTasks() harness.Case {
	use := func(newGroup func() peers.Goer) func(int) {
		f := func() error { return nil }
		return func(n int) {
			for range n {
				g := newGroup()
				for range 10 {
					g.Go(f)
				}
				_ = g.Wait() // f does not fail
			}
		}
	}
	ours := func(name string, opts ...instrument.Option) harness.Subject {
		return harness.Subject{Name: name, Order: unordered, New: func() (func(int), func()) {
			g := peers.OurGroups(opts...)
			return use(func() peers.Goer { return g.Group() }), g.Close
		}}
	}
	return harness.Case{
		Name: "groups of 10 tasks",
		Subjects: []harness.Subject{
			ours("ours"),
			{Name: peers.Errgroup, Order: unordered, New: func() (func(int), func()) {
				return use(func() peers.Goer { return new(errgroup.Group) }), nil
			}},
			ours("telemetry off", instrument.WithoutTelemetry()),
			{Name: "zero Group", Order: unordered, New: func() (func(int), func()) {
				return use(func() peers.Goer { return new(pools.Group) }), nil
			}},
		},
		Bars: []harness.Bar{ofPeer(peers.Errgroup, 1.1)},
	}
}

func budgetCase() harness.Case {
	const task, all = 1 << 20, 1 << 30
	ctx := context.Background()
	subject := func(name, order string, open func() (p budget, stop func())) harness.Subject {
		return harness.Subject{Name: name, Order: order, New: func() (func(int), func()) {
			p, stop := open()
			return func(n int) {
				for range n {
					_ = p.Acquire(ctx, task)
					p.Release(task)
				}
			}, stop
		}}
	}
	ours := func(opts ...instrument.Option) func() (budget, func()) {
		return func() (budget, func()) {
			b := peers.MemoryBudget(task, all, opts...)
			return b, b.Close
		}
	}
	return harness.Case{
		Name: "MemoryBudget alone",
		Subjects: []harness.Subject{
			subject("poolgauge", peers.OurOrder, ours()),
			subject(xsync, strictFIFO, func() (budget, func()) { return peers.XSync(all), nil }),
			subject("telemetry off", peers.OurOrder, ours(instrument.WithoutTelemetry())),
		},
		Bars:    []harness.Bar{ofPeer(xsync, 1.5), tenNanoseconds("telemetry off")},
		NoAlloc: true,
	}
}

// results receives the values that Map yields. It is large enough for any round.
var results [1 << 20]int

// budget is the common interface of memory budgets and semaphores.
type budget interface {
	Acquire(ctx context.Context, n int64) error
	Release(n int64)
}

// onWorkers returns a subject whose operations run on our worker pool.
func onWorkers(workers int, run func(p *pools.Workers, n int)) harness.Subject {
	return harness.Subject{Name: "ours", Order: "order of items", New: func() (func(int), func()) {
		p := peers.OurWorkers(workers, 0)
		return func(n int) { run(p, n) }, p.Close
	}}
}

// limited returns a subject whose operations run in an errgroup with a limit.
func limited(workers int, task func(i int)) harness.Subject {
	return harness.Subject{Name: peers.Errgroup, Order: unordered, New: func() (func(int), func()) {
		return func(n int) {
			var g errgroup.Group
			g.SetLimit(workers)
			for i := range n {
				g.Go(func() error {
					task(i)
					return nil
				})
			}
			_ = g.Wait() // tasks do not fail
		}, nil
	}}
}

// atMostErrgroup requires that our pool use no more CPU time and wall time than errgroup.
var atMostErrgroup = []harness.Bar{ofPeer(peers.Errgroup, 1), {Peer: peers.Errgroup, Of: harness.Wall, Ratio: 1}}

func eachCase(workers int, d time.Duration) harness.Case {
	task := func(int) { harness.Spin(d) }
	ours := onWorkers(workers, func(p *pools.Workers, n int) { peers.ForEach(p, upTo(n), task) })
	ours.Order = unordered
	return harness.Case{
		Name:     fmt.Sprintf("ForEach, tasks of %v on %d workers", d, workers),
		Subjects: []harness.Subject{ours, limited(workers, task)},
		Bars:     atMostErrgroup,
	}
}

func mapCase(workers int, d time.Duration) harness.Case {
	twice := func(i int) int {
		harness.Spin(d)
		return 2 * i
	}
	return harness.Case{
		Name: fmt.Sprintf("Map, tasks of %v on %d workers", d, workers),
		Subjects: []harness.Subject{
			onWorkers(workers, func(p *pools.Workers, n int) {
				i := 0
				peers.Map(p, upTo(n), twice, func(v int) {
					results[i%len(results)] = v
					i++
				})
			}),
			limited(workers, func(i int) { results[i%len(results)] = twice(i) }),
		},
		Bars: atMostErrgroup,
	}
}
