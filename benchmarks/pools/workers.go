package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// workers returns a subject that gives tasks to a pool of n workers.
func workers(name string, open peers.NewWorkers, n, submitters int, task peers.Task) harness.Subject {
	return harness.Subject{Name: name, New: func() (func(int), func()) {
		p := open(n)
		run := func(n int) {
			var last sync.WaitGroup
			harness.Parallel(submitters, n, func(n int) {
				for range n - 1 {
					p.Submit(task)
				}
				if n > 0 {
					last.Add(1)
					p.Submit(peers.NewTask(last.Done))
				}
			})
			last.Wait()
		}
		run(4 * peers.Queue) // queues that grow have grown
		return run, p.Stop
	}}
}

// spin returns a task that takes as long of a CPU.
func spin(d time.Duration) peers.Task {
	return peers.NewTask(func() { harness.Spin(d) })
}

func workersCases() []harness.Case {
	var cases []harness.Case
	add := func(name string, n, submitters int, task peers.Task, among ...string) {
		c := harness.Case{
			Name:     name,
			Subjects: []harness.Subject{workers("ours", peers.Ours(), n, submitters, task)},
			Bars:     []harness.Bar{{Peer: peers.Channel, Ratio: 1.3}},
			NoAlloc:  true,
		}
		for _, peer := range among {
			c.Subjects = append(c.Subjects, workers(peer, peers.WorkerPools[peer], n, submitters, task))
		}
		cases = append(cases, c)
	}
	few := []string{peers.Pond, peers.Channel}
	all := slices.Concat(few, []string{peers.Gopool, peers.Conc, peers.Errgroup, peers.Workerpool, peers.Ants})
	for _, n := range []int{2, 16, 1000} {
		for _, submitters := range []int{1, 8} {
			among := few
			if n == 16 {
				among = all
			}
			add(fmt.Sprintf("workers %d, %d submitting empty tasks", n, submitters), n, submitters, peers.Nothing, among...)
			last := &cases[len(cases)-1]
			last.Bars = append(last.Bars, harness.Bar{Peer: peers.Pond, Ratio: 0.5})
		}
	}
	microsecond := spin(time.Microsecond)
	add("workers 16, 1 submitting tasks of 1 µs", 16, 1, microsecond, all...)
	return append(cases,
		workersTelemetry("workers telemetry, 1 submitting empty tasks", 1, peers.Nothing, harness.Bar{Peer: "off", Ratio: 1, Plus: 10 * time.Nanosecond}),
		workersTelemetry("workers telemetry, 8 submitting empty tasks", 8, peers.Nothing, harness.Bar{Peer: "off", Ratio: 1, Plus: 10 * time.Nanosecond}),
		workersTelemetry("workers telemetry, 1 submitting tasks of 1 µs", 1, microsecond),
		workersSplit(),
		cpuSample(),
	)
}

// workersSplit shows that telling what the threads of tasks do costs at most 1 %, as often as it is done by default.
func workersSplit() harness.Case {
	task := spin(20 * time.Microsecond)
	return harness.Case{
		Name: "workers CPU samples, 1 submitting tasks of 20 µs",
		Subjects: []harness.Subject{
			workers("ours", peers.Ours(), 16, 1, task),
			workers("off", peers.Ours(instrument.WithCPUSamples(0)), 16, 1, task),
		},
		Bars: []harness.Bar{{Peer: "off", Ratio: 1.01}},
	}
}

// cpuSample is what it takes to measure one task, which does nothing.
func cpuSample() harness.Case {
	measured := func(wanted int) func() (func(int), func()) {
		return func() (func(int), func()) {
			s := instrument.NewCPUSampler(instrument.WithCPUSamples(wanted))
			begun := int64(0)
			return func(n int) {
				for range n {
					begun++
					c := s.Next(time.Duration(begun)*time.Hour, begun)
					c.Run(func() {})
					s.Add(c)
				}
			}, nil
		}
	}
	return harness.Case{
		Name:     "one CPU sample",
		Subjects: []harness.Subject{{Name: "ours", New: measured(1)}, {Name: "none", New: measured(0)}},
		Bars:     []harness.Bar{{Peer: "none", Ratio: 1, Plus: 10 * time.Microsecond}},
	}
}

// workersTelemetry compares our pool with itself. The telemetry may add 10 ns, which is 1 % of 1 µs: empty tasks show that, where the
// tasks' own time does not hide it.
func workersTelemetry(name string, submitters int, task peers.Task, bars ...harness.Bar) harness.Case {
	const n = 16
	return harness.Case{
		Name: name,
		Subjects: []harness.Subject{
			workers("ours", peers.Ours(), n, submitters, task),
			workers("off", peers.Ours(instrument.WithoutTelemetry()), n, submitters, task),
			workers("exact", peers.Ours(instrument.WithExactTiming()), n, submitters, task),
			workers("synchronous OTel", peers.OurOTel, n, submitters, task),
		},
		Bars:    bars,
		NoAlloc: true,
		Procs:   []int{1, 0},
	}
}
