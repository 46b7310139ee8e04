package main

import (
	"context"
	"runtime"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// lender returns a subject that calls the function use with a pool whose resources have all been
// created.
func lender(name, order string, use func(p peers.Lender, n int), open func() peers.Lender) harness.Subject {
	return harness.Subject{Name: name, Order: order, New: func() (func(int), func()) {
		p := open()
		p.Fill()
		return func(n int) { use(p, n) }, p.Close
	}}
}

// resources returns one subject for every kind of pool. Each calls the function use with a pool of
// the given size.
func resources(size int, use func(p peers.Lender, n int)) []harness.Subject {
	return []harness.Subject{
		ourResources("poolgauge", size, use),
		lender("puddle", strictFIFO, use, func() peers.Lender { return peers.Puddle(size) }),
		lender("channel", strictFIFO, use, func() peers.Lender { return peers.ChannelPool(size) }),
		lender("go-commons-pool", unordered, use, func() peers.Lender { return peers.CommonsPool(size) }),
		ourResources("telemetry off", size, use, instrument.WithoutTelemetry()),
		ourResources("exact", size, use, instrument.WithExactTiming()),
	}
}

// few is like resources, but leaves out go-commons-pool and exact timing.
func few(size int, use func(p peers.Lender, n int)) []harness.Subject {
	all := resources(size, use)
	return []harness.Subject{all[0], all[1], all[2], all[4]}
}

func ourResources(name string, size int, use func(p peers.Lender, n int), opts ...instrument.Option) harness.Subject {
	return lender(name, peers.OurOrder, use, func() peers.Lender { return peers.OurLender(size, opts...) })
}

// lend returns a function that borrows and returns n resources, one after the other.
func lend(ctx context.Context, between func()) func(peers.Lender, int) {
	return func(p peers.Lender, n int) {
		for range n {
			p.Use(ctx, between)
		}
	}
}

// crowd returns a function that distributes calls to the function use among goroutines.
func crowd(goroutines int, use func(peers.Lender, int)) func(peers.Lender, int) {
	return func(p peers.Lender, n int) {
		harness.Parallel(goroutines, n, func(n int) { use(p, n) })
	}
}

func resourcesCases() []harness.Case {
	ctx := context.Background()
	cancelable, cancel := context.WithCancel(ctx)
	_ = cancel // the context is used as long as the program runs
	plain, block, sleep := lend(ctx, nil), lend(ctx, runtime.Gosched), lend(ctx, sleepMillisecond)
	below := func(ratio float64) []harness.Bar { return []harness.Bar{ofPeer("puddle", ratio)} }
	alone := append(below(0.4), tenNanoseconds("telemetry off"))
	one, both := []int{1}, []int{1, 2, 0}
	return []harness.Case{
		{Name: "resources alone", Subjects: resources(16, plain), Bars: alone, NoAlloc: true},
		{
			Name:     "resources alone, context with cancel",
			Subjects: few(16, lend(cancelable, nil)), Bars: alone, NoAlloc: true,
		},
		{
			Name:     "resources, 64 goroutines on 2",
			Subjects: resources(2, crowd(64, plain)),
			Bars:     below(0.9),
			Procs:    both,
		},
		{
			Name: "resources, 64 goroutines on 2, telemetry", Procs: one, Bars: alone[1:],
			Subjects: []harness.Subject{
				ourResources("poolgauge", 2, crowd(64, plain)),
				ourResources("telemetry off", 2, crowd(64, plain), instrument.WithoutTelemetry()),
			},
		},
		{
			Name:     "resources, 64 goroutines on 2, forced to block",
			Subjects: resources(2, crowd(64, block)), Bars: below(0.9), Procs: both, NoAlloc: true,
		},
		telemetryOfWaits("resources, 64 goroutines on 2, forced to block, telemetry",
			ourResources("poolgauge", 2, crowd(64, block)),
			ourResources("telemetry off", 2, crowd(64, block), instrument.WithoutTelemetry()),
		),
		{
			Name:     "resources, 64 goroutines on 2, forced to block, context with cancel",
			Subjects: few(2, crowd(64, lend(cancelable, runtime.Gosched))), Bars: below(0.9),
		},
		{
			Name: "resources, 1,000 goroutines on 100, forced to block", Procs: both,
			Subjects: few(100, crowd(1000, block)), Bars: append(below(0.9), ofPeer("telemetry off", 1.05)),
		},
		{
			Name: "resources, 1,000 goroutines on 100, holds of 1 ms", Procs: both,
			Subjects: few(100, crowd(1000, sleep)), Bars: append(below(0.9), ofPeer("telemetry off", 1.05)),
		},
		{
			Name: "resources, 64 goroutines on 2, holds of 1 ms", Procs: both, Subjects: few(2, crowd(64, sleep)),
			Bars: append(below(0.9), harness.Bar{Peer: "telemetry off", Ratio: 1, Plus: 2500 * time.Nanosecond}),
		},
		{
			Name:     "resources, 64 goroutines on 64",
			Subjects: resources(64, crowd(64, plain)),
			Bars:     below(0.9),
			Procs:    both,
		},
	}
}
