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

// life is a kind of pool. Its function creates a pool, uses it once and returns a function that
// closes it.
type life struct {
	name string
	make func() (stop func())
}

func usedPermits(p peers.Permits) {
	_ = p.Acquire(context.Background(), 1)
	p.Release(1)
}

func usedWorkers(w peers.Workers) func() {
	var done sync.WaitGroup
	done.Add(1)
	w.Submit(peers.NewTask(done.Done))
	done.Wait()
	return w.Stop
}

func usedLender(p peers.Lender) func() {
	p.Use(context.Background(), nil)
	return p.Close
}

// lives lists the pools to compare: for each kind, first our pool and then its peers.
var lives = []struct {
	kind  string
	peer  string
	ratio float64 // target: time to create, use and close a pool, relative to the peer
	heap  float64 // target: heap bytes of an idle pool
	all   []life
}{
	{"Semaphore", xsync, 100, 4 << 10, []life{
		{"poolgauge", func() func() { return ourSemaphoreUsed() }},
		{"telemetry off", func() func() { return ourSemaphoreUsed(instrument.WithoutTelemetry()) }},
		{xsync, func() func() {
			usedPermits(keep(peers.XSync(4)))
			return nil
		}},
	}},
	{"Resources", "puddle", 8, 7 << 10, []life{
		{"poolgauge", func() func() { return usedLender(peers.OurLender(4)) }},
		{"telemetry off", func() func() { return usedLender(peers.OurLender(4, instrument.WithoutTelemetry())) }},
		{"puddle", func() func() { return usedLender(peers.Puddle(4)) }},
	}},
	{
		"Workers(4)",
		peers.PondPlain,
		2,
		8 << 10,
		[]life{
			{"poolgauge", func() func() { return usedWorkers(peers.OursWithQueue(0)(4)) }},
			{
				"telemetry off",
				func() func() { return usedWorkers(peers.OursWithQueue(0, instrument.WithoutTelemetry())(4)) },
			},
			{peers.PondPlain, func() func() { return usedWorkers(peers.WorkerPools[peers.PondPlain](4)) }},
			{peers.Channel, func() func() { return usedWorkers(peers.WorkerPools[peers.Channel](4)) }},
		},
	},
}

func ourSemaphoreUsed(opts ...instrument.Option) func() {
	s := peers.Semaphore(4, opts...)
	usedPermits(s)
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
	for _, l := range lives {
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

// created measures creating, using and closing a pool. If reported is true, a Producer is open
// meanwhile, as in a program that reports metrics.
func created(l life, reported bool) harness.Subject {
	return harness.Subject{Name: l.name, New: func() (func(int), func()) {
		stop := func() {}
		if reported {
			_, stop = peers.Producer()
		}
		return func(n int) {
			for range n {
				if end := l.make(); end != nil {
					end()
				}
			}
		}, stop
	}}
}

func idleHeap(l life) harness.Subject {
	return harness.Subject{Name: l.name, Measure: func(n int) harness.Sample {
		_, stop := peers.Producer()
		defer stop()
		ends := make([]func(), n)
		kept = make([]any, 0, n)
		before := heap()
		for i := range ends {
			ends[i] = l.make()
		}
		took := float64(heap()-before) / float64(n)
		for _, end := range ends {
			if end != nil {
				end()
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
			var ends []func()
			for i := range n {
				ends = append(ends, lives[i%len(lives)].all[0].make())
			}
			return func(n int) {
					for range n {
						collect()
					}
				}, func() {
					for _, end := range ends {
						end()
					}
					stop()
				}
		}}},
		Bars: []harness.Bar{{Of: harness.Wall, Most: 10e6}, {Of: harness.CPU, Most: 10e6}},
	}
}
