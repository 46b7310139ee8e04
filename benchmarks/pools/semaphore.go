package main

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// The names of the subjects that targets refer to.
const (
	xsync        = "x/sync"
	semaphoreOff = "poolgauge, telemetry off"
	strictFIFO   = "strict FIFO"
	unordered    = "none"
)

// permits returns a subject that calls use with a semaphore.
func permits(
	name, order string,
	use func(p peers.Permits, n int),
	open func() (peers.Permits, func()),
) harness.Subject {
	return harness.Subject{Name: name, Order: order, New: func() (func(int), func()) {
		p, stop := open()
		return func(n int) { use(p, n) }, stop
	}}
}

func ourSemaphore(
	name string,
	size int64,
	use func(p peers.Permits, n int),
	opts ...instrument.Option,
) harness.Subject {
	return permits(name, peers.OurOrder, use, func() (peers.Permits, func()) {
		s := peers.Semaphore(size, opts...)
		return s, s.Close
	})
}

// semaphores returns one subject for every kind of semaphore. Each calls use with a semaphore of
// the given size. They include one made from a channel, which cannot acquire several permits at
// once.
func semaphores(size int64, use func(p peers.Permits, n int)) []harness.Subject {
	return append(weighted(size, use),
		permits("channel", strictFIFO, use, func() (peers.Permits, func()) { return peers.ChannelPermits(size), nil }))
}

func weighted(size int64, use func(p peers.Permits, n int)) []harness.Subject {
	return []harness.Subject{
		ourSemaphore("poolgauge", size, use),
		ourSemaphore(semaphoreOff, size, use, instrument.WithoutTelemetry()),
		permits(xsync, strictFIFO, use, func() (peers.Permits, func()) { return peers.XSync(size), nil }),
	}
}

// hold returns a function that acquires and releases weight permits n times. While it holds them,
// it calls the function between unless that is nil.
func hold(weight int64, between func()) func(peers.Permits, int) {
	ctx := context.Background() // never done, so Acquire cannot fail
	if between == nil {
		return func(p peers.Permits, n int) {
			for range n {
				_ = p.Acquire(ctx, weight)
				p.Release(weight)
			}
		}
	}
	return func(p peers.Permits, n int) {
		for range n {
			_ = p.Acquire(ctx, weight)
			between()
			p.Release(weight)
		}
	}
}

// among returns a function that distributes calls to the function use among goroutines.
func among(goroutines int, use func(p peers.Permits, n int)) func(peers.Permits, int) {
	return func(p peers.Permits, n int) {
		harness.Parallel(goroutines, n, func(n int) { use(p, n) })
	}
}

// mixed returns a function that distributes uses among goroutines. The weights are assigned to the
// goroutines round-robin.
func mixed(goroutines int, between func(), weights ...int64) func(peers.Permits, int) {
	return func(p peers.Permits, n int) {
		var goroutine atomic.Int64
		harness.Parallel(goroutines, n, func(n int) {
			hold(weights[int(goroutine.Add(1))%len(weights)], between)(p, n)
		})
	}
}

func trySucceed(p peers.Permits, n int) {
	for range n {
		if p.TryAcquire(1) {
			p.Release(1)
		}
	}
}

func tryFail(p peers.Permits, n int) {
	for p.TryAcquire(1) {
		continue // until no permit is left
	}
	for range n {
		p.TryAcquire(1)
	}
}

func sleepMillisecond() { time.Sleep(time.Millisecond) }

// ofPeer returns a target for CPU time relative to peer.
func ofPeer(peer string, ratio float64) harness.Bar { return harness.Bar{Peer: peer, Ratio: ratio} }

// tenNanoseconds returns the target for the cost of telemetry in a closed loop.
func tenNanoseconds(off string) harness.Bar {
	return harness.Bar{Peer: off, Ratio: 1, Plus: 10 * time.Nanosecond}
}

func semaphoreCases() []harness.Case {
	one, both := []int{1}, []int{1, 2, 0}
	telemetry := tenNanoseconds(semaphoreOff)
	bars := func(ratio float64) []harness.Bar { return []harness.Bar{ofPeer(xsync, ratio), telemetry} }
	yield := hold(1, runtime.Gosched) // so that other goroutines find no free permits
	const huge = 1 << 40
	return slices.Concat([]harness.Case{
		{Name: "semaphore alone", Subjects: semaphores(16, hold(1, nil)), Bars: bars(0.7), NoAlloc: true},
		{
			Name:     "semaphore alone, huge weights",
			Subjects: weighted(4*huge, hold(huge, nil)),
			Bars:     bars(0.7),
			NoAlloc:  true,
		},
		{
			Name:     "semaphore, 64 goroutines on 2",
			Subjects: semaphores(2, among(64, hold(1, nil))),
			Bars:     bars(0.9)[:1],
			NoAlloc:  true,
			Procs:    both,
		},
		{
			Name: "semaphore, 64 goroutines on 2, telemetry", Procs: one, Bars: []harness.Bar{telemetry},
			Subjects: semaphores(2, among(64, hold(1, nil)))[:2],
		},
		{
			Name: "semaphore, 64 goroutines on 2, forced to block", Subjects: semaphores(2, among(64, yield)),
			Bars: bars(0.9)[:1], NoAlloc: true, Procs: both,
		},
		telemetryOfWaits("semaphore, 64 goroutines on 2, forced to block, telemetry",
			ourSemaphore("poolgauge", 2, among(64, yield)),
			ourSemaphore("telemetry off", 2, among(64, yield), instrument.WithoutTelemetry()),
		),
		{
			Name: "semaphore, 64 goroutines of weights 1, 8 and 64 on 64", Procs: both,
			Subjects: weighted(64, mixed(64, runtime.Gosched, 1, 8, 64)), Bars: bars(0.9)[:1], NoAlloc: true,
		},
		{
			Name: "semaphore, 64 goroutines of weights 1 and 2^40 on 2^42", Procs: both,
			Subjects: weighted(4*huge, mixed(64, runtime.Gosched, 1, huge)), Bars: bars(0.9)[:1], NoAlloc: true,
		},
		{
			Name: "semaphore, 1,000 goroutines on 100, forced to block", Subjects: semaphores(100, among(1000, yield)),
			Bars: []harness.Bar{ofPeer(xsync, 0.9), ofPeer(semaphoreOff, 1.05)}, Procs: both,
		},
		{
			Name:     "semaphore, 1,000 goroutines on 100, holds of 1 ms",
			Subjects: semaphores(100, among(1000, hold(1, sleepMillisecond))),
			Bars:     []harness.Bar{ofPeer(semaphoreOff, 1.05)},
			Procs:    both,
		},
		{
			// 64 goroutines on 2 permits finish 2,000 uses per second, so 0.5% of a CPU is 2.5 µs
			// per use.
			Name:     "semaphore, 64 goroutines on 2, holds of 1 ms",
			Subjects: semaphores(2, among(64, hold(1, sleepMillisecond))),
			Bars:     []harness.Bar{{Peer: semaphoreOff, Ratio: 1, Plus: 2500 * time.Nanosecond}},
			Procs:    both,
		},
		{
			Name:     "semaphore, TryAcquire that succeeds",
			Subjects: semaphores(16, trySucceed),
			Bars:     bars(1),
			NoAlloc:  true,
		},
		{Name: "semaphore, TryAcquire that fails", Subjects: semaphores(2, tryFail), Bars: bars(1), NoAlloc: true},
		{Name: "semaphore, 64 goroutines on 64", Subjects: semaphores(64, among(64, hold(1, nil))), Procs: both},
	})
}
