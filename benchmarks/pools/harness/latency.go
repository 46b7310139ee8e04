package harness

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Gate is a pool with one slot, which is in use except while a request is measured.
type Gate struct {
	Acquire func(context.Context) error
	Release func() // releases an acquired slot
	// Waits reports whether a request is waiting. It is nil if the pool does not expose that.
	Waits func() bool
	Stop  func()
}

// HandOver measures the time from Release until Acquire returns in the waiting goroutine, while
// busy goroutines compete for the CPUs.
func HandOver(name, order string, busy int, open func() Gate) Subject {
	return Subject{Name: name, Order: order, Measure: func(n int) Sample {
		defer busyGoroutines(busy)()
		g := open()
		defer g.Stop()
		asked, waits, took := make(chan struct{}), make(chan struct{}), make(chan time.Duration)
		var released time.Time
		go func() {
			for range asked {
				waits <- struct{}{}
				must(g.Acquire(context.Background()))
				took <- time.Since(released)
			}
		}()
		delays := make([]time.Duration, n+1)
		for i := range delays {
			time.Sleep(time.Millisecond) // so that the next trial starts with a new time slice
			asked <- struct{}{}
			<-waits
			Spin(20 * time.Microsecond) // long enough for the goroutine to start waiting, if a CPU is free
			released = time.Now()
			g.Release()
			delays[i] = <-took
		}
		close(asked)
		return timed(delays[1:]) // the pool may still be starting in the first trial
	}}
}

// Deadline measures how long after its context's deadline Acquire returns, while busy goroutines
// compete for the CPUs. The deadline is 20 ms.
func Deadline(name, order string, busy int, open func() Gate) Subject {
	return Subject{Name: name, Order: order, Measure: func(n int) Sample {
		defer busyGoroutines(busy)()
		g := open()
		defer g.Stop()
		delays := make([]time.Duration, n)
		for i := range delays {
			delays[i] = g.lateness(20 * time.Millisecond)
		}
		return timed(delays)
	}}
}

// lateness makes a request that times out, and returns how long after its deadline Acquire returns.
func (g Gate) lateness(after time.Duration) time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	if g.Acquire(ctx) == nil {
		panic("a full pool served a request")
	}
	deadline, _ := ctx.Deadline()
	return time.Since(deadline)
}

func timed(delays []time.Duration) Sample {
	slices.Sort(delays)
	return Sample{Wall: float64(delays[len(delays)/2]), Max: float64(delays[len(delays)-1])}
}

// busyGoroutines starts the given number of goroutines, each of which uses a CPU and never yields.
// stop stops them.
func busyGoroutines(busy int) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range busy {
		wg.Go(func() {
			for !stopped.Load() {
				continue
			}
		})
	}
	return func() {
		stopped.Store(true)
		wg.Wait()
	}
}

// Overtaken counts how many of n requests were served after a request that arrived at least 5 ms
// later. The function use makes a request, and calls hold when the request is served. The pool
// serves one request at a time. So many goroutines make requests that each request waits for at
// least 20 ms. The order of requests that arrive less than 5 ms apart cannot be observed: a
// request's arrival time is read before the call, and so before the request gets the pool's lock.
func Overtaken(name, order string, open func() (use func(hold func()), stop func())) Subject {
	const (
		goroutines = 1024
		margin     = 5 * time.Millisecond
	)
	return Subject{Name: name, Order: order, Measure: func(n int) Sample {
		use, stop := open()
		base := time.Now()
		// arrival times, in the order of service
		served := make([]time.Duration, 0, n)
		Parallel(goroutines, n, func(n int) {
			for range n {
				arrived := time.Since(base)
				use(func() {
					served = append(served, arrived)
					Spin(20 * time.Microsecond)
					runtime.Gosched() // lets other goroutines make requests in the meantime
				})
			}
		})
		stop() // returns when all tasks have completed
		var overtaken, last time.Duration
		for _, arrived := range served {
			if arrived+margin < last {
				overtaken++
			}
			last = max(last, arrived)
		}
		if len(served) != n {
			panic("a request was not served")
		}
		took := time.Since(base)
		return Sample{Wall: float64(took) / float64(n), Count: float64(overtaken)}
	}}
}

// LaterFirst counts how many of n waiting requests are served after a request that is made only
// after the slot was released.
func LaterFirst(name, order string, open func() Gate) Subject {
	return Subject{Name: name, Order: order, Measure: func(n int) Sample {
		g := open()
		defer g.Stop()
		asked, done := make(chan struct{}), make(chan struct{})
		var asking, served atomic.Bool
		go func() {
			for range asked {
				asking.Store(true)
				must(g.Acquire(context.Background()))
				served.Store(true)
				g.Release()
				done <- struct{}{}
			}
		}()
		overtaken := 0
		start := time.Now()
		for range n {
			asking.Store(false)
			served.Store(false)
			asked <- struct{}{}
			g.awaitWaiter(&asking)
			g.Release()
			must(g.Acquire(context.Background())) // the later request
			if !served.Load() {
				overtaken++
			}
			g.Release()
			<-done
			must(g.Acquire(context.Background())) // the pool is full again
		}
		close(asked)
		return Sample{Wall: float64(time.Since(start)) / float64(n), Count: float64(overtaken)}
	}}
}

// awaitWaiter waits until the request announced by asking is waiting. It polls g.Waits if it can.
// Otherwise it spins for 5 µs, which is too short in about one of 40,000 trials: the requesting
// goroutine may lose its CPU just before it calls Acquire.
func (g Gate) awaitWaiter(asking *atomic.Bool) {
	for !asking.Load() {
		runtime.Gosched()
	}
	if g.Waits == nil {
		Spin(5 * time.Microsecond)
		return
	}
	for !g.Waits() {
		runtime.Gosched()
	}
}

func must(err error) {
	if err != nil {
		panic(err) // a benchmark cannot continue
	}
}
