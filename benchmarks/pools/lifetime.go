package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// lifecycle is a kind of pool. The function make creates a pool, uses it once and returns a
// function that closes it, or nil.
type lifecycle struct {
	name string
	make func() (stop func())
}

func usePermits(p peers.Permits) {
	_ = p.Acquire(context.Background(), 1)
	p.Release(1)
}

func useWorkers(w peers.Workers) func() {
	var done sync.WaitGroup
	done.Add(1)
	w.Submit(peers.NewTask(done.Done))
	done.Wait()
	return w.Stop
}

func useLender(p peers.Lender) func() {
	p.Use(context.Background(), nil)
	return p.Close
}

// lifecycles lists the pools to compare: for each kind, first our pool and then its peers.
var lifecycles = []struct {
	kind  string
	peer  string
	ratio float64 // target: time to create, use and close a pool, relative to the peer
	heap  float64 // target: heap bytes of an idle pool
	all   []lifecycle
}{
	{"Semaphore", xsync, 100, 4 << 10, []lifecycle{
		{"poolgauge", func() func() { return useOurSemaphore() }},
		{"telemetry off", func() func() { return useOurSemaphore(instrument.WithoutTelemetry()) }},
		{xsync, func() func() {
			usePermits(keep(peers.XSync(4)))
			return nil
		}},
	}},
	{"Resources", "puddle", 8, 7 << 10, []lifecycle{
		{"poolgauge", func() func() { return useLender(peers.OurLender(4)) }},
		{"telemetry off", func() func() { return useLender(peers.OurLender(4, instrument.WithoutTelemetry())) }},
		{"puddle", func() func() { return useLender(peers.Puddle(4)) }},
	}},
	{
		"Workers(4)",
		peers.PondPlain,
		2,
		8 << 10,
		[]lifecycle{
			{"poolgauge", func() func() { return useWorkers(peers.OursWithQueue(0)(4)) }},
			{
				"telemetry off",
				func() func() { return useWorkers(peers.OursWithQueue(0, instrument.WithoutTelemetry())(4)) },
			},
			{peers.PondPlain, func() func() { return useWorkers(peers.WorkerPools[peers.PondPlain](4)) }},
			{peers.Channel, func() func() { return useWorkers(peers.WorkerPools[peers.Channel](4)) }},
		},
	},
}

func useOurSemaphore(opts ...instrument.Option) func() {
	s := peers.Semaphore(4, opts...)
	usePermits(s)
	return s.Close
}

// kept references values that would otherwise be garbage-collected.
var kept []any

func keep(p peers.Permits) peers.Permits {
	if len(kept) == cap(kept) {
		kept = make([]any, 0, 1024)
	}
	kept = append(kept, p)
	return p
}

// lifetimeCases returns cases that measure short-lived pools and many idle pools.
func lifetimeCases() []harness.Case {
	var cases []harness.Case
	for _, l := range lifecycles {
		create := harness.Case{
			Name: "create, use and close: " + l.kind,
			Bars: []harness.Bar{ofPeer(l.peer, l.ratio)},
		}
		idle := harness.Case{
			Name: "heap of an idle pool: " + l.kind, Trials: 1000,
			Bars: []harness.Bar{{Of: harness.Bytes, Most: l.heap}},
		}
		for _, p := range l.all {
			create.Subjects = append(create.Subjects, created(p, true))
			idle.Subjects = append(idle.Subjects, idleHeap(p))
		}
		noProducer := created(l.all[0], false)
		noProducer.Name += ", no Producer"
		create.Subjects = append(create.Subjects, noProducer)
		cases = append(cases, create, idle)
	}
	return append(cases, collectCase())
}

// created measures creating, using and closing a pool. If reported is true, it does so while a
// Producer is open, as in a program that reports metrics.
func created(l lifecycle, reported bool) harness.Subject {
	return harness.Subject{Name: l.name, New: func() (func(int), func()) {
		stop := func() {}
		if reported {
			_, stop = peers.Producer()
		}
		return func(n int) {
			for range n {
				if stop := l.make(); stop != nil {
					stop()
				}
			}
		}, stop
	}}
}

func idleHeap(l lifecycle) harness.Subject {
	return harness.Subject{Name: l.name, Measure: func(n int) harness.Sample {
		_, stop := peers.Producer()
		defer stop()
		stops := make([]func(), n)
		kept = make([]any, 0, n)
		before := heap()
		for i := range stops {
			stops[i] = l.make()
		}
		took := float64(heap()-before) / float64(n)
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
		return harness.Sample{Bytes: took}
	}}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // runs finalizers and clears sync.Pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// collectCase returns a case that collects the metrics of 1,000 used pools of all kinds.
func collectCase() harness.Case {
	const n = 1000
	return harness.Case{
		Name: fmt.Sprintf("collect %d pools", n),
		Subjects: []harness.Subject{{Name: "poolgauge", New: func() (func(int), func()) {
			collect, stop := peers.Producer()
			var stops []func()
			for i := range n {
				stops = append(stops, lifecycles[i%len(lifecycles)].all[0].make())
			}
			return func(n int) {
					for range n {
						collect()
					}
				}, func() {
					for _, stopPool := range stops {
						stopPool()
					}
					stop()
				}
		}}},
		Bars: []harness.Bar{{Of: harness.Wall, Most: 10e6}, {Of: harness.CPU, Most: 10e6}},
	}
}
