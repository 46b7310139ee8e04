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

// workers returns a subject in which several submitters submit task to a pool of n workers.
func workers(name string, open peers.NewWorkers, n, submitters int, task peers.Task) harness.Subject {
	return harness.Subject{Name: name, Order: orderOf(name), New: func() (func(int), func()) {
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
		run(4 * peers.Queue) // lets queues that grow reach their final size
		return run, p.Stop
	}}
}

// sleepers returns a subject with 64 workers, whose tasks sleep 200 µs. A round ends when all tasks
// have completed.
func sleepers(name string, open peers.NewWorkers) harness.Subject {
	return harness.Subject{Name: name, Order: orderOf(name), New: func() (func(int), func()) {
		p := open(64)
		return func(n int) {
			var all sync.WaitGroup
			all.Add(n)
			task := peers.NewTask(func() {
				time.Sleep(200 * time.Microsecond)
				all.Done()
			})
			for range n {
				p.Submit(task)
			}
			all.Wait()
		}, p.Stop
	}}
}

// oneByOne returns a subject that submits a task and waits for it before it submits the next.
func oneByOne(name string, open peers.NewWorkers) harness.Subject {
	return harness.Subject{Name: name, Order: orderOf(name), New: func() (func(int), func()) {
		p := open(16)
		done := make(chan struct{}, 1)
		task := peers.NewTask(func() { done <- struct{}{} })
		return func(n int) {
			for range n {
				p.Submit(task)
				<-done
			}
		}, p.Stop
	}}
}

func orderOf(name string) string {
	if order, peer := peers.Orders[name]; peer {
		return order
	}
	return peers.OurOrder
}

// spin returns a task that uses d of CPU time.
func spin(d time.Duration) peers.Task {
	return peers.NewTask(func() { harness.Spin(d) })
}

func workersCases() []harness.Case {
	var cases []harness.Case
	add := func(name string, n, submitters int, task peers.Task, among ...string) {
		c := harness.Case{
			Name:     name,
			Subjects: []harness.Subject{workers("ours", peers.Ours(), n, submitters, task)},
			Bars:     []harness.Bar{ofPeer(peers.Channel, 1.3)},
			NoAlloc:  true,
		}
		for _, peer := range among {
			c.Subjects = append(c.Subjects, workers(peer, peers.WorkerPools[peer], n, submitters, task))
		}
		cases = append(cases, c)
	}
	few := []string{peers.Pond, peers.PondPlain, peers.Channel}
	all := slices.Concat(few, []string{peers.Gopool, peers.Conc, peers.Errgroup, peers.Workerpool, peers.Ants})
	for _, n := range []int{2, 16, 1000} {
		for _, submitters := range []int{1, 8} {
			among := few
			if n == 16 {
				among = all
			}
			add(
				fmt.Sprintf("workers %d, %d submitting empty tasks", n, submitters),
				n,
				submitters,
				peers.Nothing,
				among...)
			last := &cases[len(cases)-1]
			last.Bars = append(last.Bars, ofPeer(peers.Pond, 0.5), ofPeer(peers.PondPlain, 0.6))
		}
	}
	for _, d := range []time.Duration{time.Microsecond, 20 * time.Microsecond} {
		add(
			fmt.Sprintf("workers 16, 1 submitting tasks of %v", d),
			16,
			1,
			spin(d),
			slices.Concat(few, []string{peers.Ants})...)
	}
	return slices.Concat(cases, workersWaitCases(), workersTelemetryCases())
}

// workersWaitCases returns cases whose submitter waits for each task, and cases whose tasks wait.
func workersWaitCases() []harness.Case {
	off := peers.Ours(instrument.WithoutTelemetry())
	return []harness.Case{
		{
			Name: "workers, submit and wait, one by one", Procs: []int{1, 0},
			Subjects: []harness.Subject{
				oneByOne("ours", peers.Ours()),
				oneByOne(peers.Ants, peers.WorkerPools[peers.Ants]),
				oneByOne(peers.Channel, peers.WorkerPools[peers.Channel]),
				oneByOne(peers.PondPlain, peers.WorkerPools[peers.PondPlain]),
				oneByOne("telemetry off", off),
			},
			Bars: []harness.Bar{ofPeer(peers.Ants, 1.05), ofPeer(peers.Channel, 1.3)}, NoAlloc: true,
		},
		{
			Name: "workers 64, tasks that sleep 200 µs", Procs: []int{1, 0},
			Subjects: []harness.Subject{
				sleepers("ours", peers.Ours()),
				sleepers("telemetry off", off),
				sleepers(peers.Channel, peers.WorkerPools[peers.Channel]),
				sleepers(peers.PondPlain, peers.WorkerPools[peers.PondPlain]),
				sleepers(peers.Ants, peers.WorkerPools[peers.Ants]),
			},
			Bars: []harness.Bar{ofPeer("telemetry off", 1.05), ofPeer(peers.Channel, 1.3)},
		},
	}
}

// workersTelemetryCases returns cases that compare our pool with and without telemetry.
func workersTelemetryCases() []harness.Case {
	compare := func(name string, submitters int, task peers.Task, bars ...harness.Bar) harness.Case {
		const n = 16
		return harness.Case{
			Name: "workers telemetry, " + name,
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
	samples := func(d time.Duration) harness.Case {
		return harness.Case{
			Name: fmt.Sprintf("workers CPU samples, 1 submitting tasks of %v", d), Procs: []int{1, 0},
			Subjects: []harness.Subject{
				workers("ours", peers.Ours(), 16, 1, spin(d)),
				workers("off", peers.Ours(instrument.WithCPUSamples(0)), 16, 1, spin(d)),
			},
			Bars: []harness.Bar{ofPeer("off", 1.01)},
		}
	}
	ten := tenNanoseconds("off")
	return []harness.Case{
		compare("1 submitting empty tasks", 1, peers.Nothing, ten),
		compare("8 submitting empty tasks", 8, peers.Nothing, ten),
		compare("1 submitting tasks of 1 µs", 1, spin(time.Microsecond), ofPeer("off", 1.01)),
		samples(20 * time.Microsecond),
	}
}
