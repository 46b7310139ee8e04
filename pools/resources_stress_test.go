package pools_test

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// runConcurrently calls f in the given number of goroutines, and waits until all calls have
// returned.
func runConcurrently(goroutines int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func TestResourcesCancelStorm(t *testing.T) {
	defer goleak.VerifyNone(t)
	var f resFactory
	p := f.open(t, 4, pools.ResourcesConfig[int64]{})
	var in pooltest.Invariants
	var acquired, gaveUp atomic.Int64
	s := in.HoldUnder(t, p.Stats, func() {
		runConcurrently(10_000, func(i int) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%2 == 0 {
				go cancel()
			}
			l, err := p.Acquire(ctx)
			if err != nil {
				gaveUp.Add(1)
				return
			}
			acquired.Add(1)
			endRandomly(l)
		})
	})
	if got := s.Requests[instrument.Acquired].Or(
		0,
	); got != acquired.Load() ||
		got+s.Requests[instrument.Canceled].Or(0) != 10_000 {
		t.Errorf("requests %v, want %d acquired and %d canceled", s.Requests, acquired.Load(), gaveUp.Load())
	}
	for range 4 { // all four slots are still available
		mustAcquire(t, p).Destroy()
	}
	p.Close()
	if f.alive.Load() != 0 || f.peak.Load() > 4 {
		t.Errorf("%d resources alive, at most %d at a time; want 0, at most 4", f.alive.Load(), f.peak.Load())
	}
}

// endRandomly ends a lease with a random method, except Hijack.
func endRandomly(l pools.Lease[int64]) {
	switch rand.IntN(8) {
	case 0:
		l.Destroy()
	case 1:
		l.ReleaseUnused()
	case 2:
		runtime.Gosched()
		l.Release()
	default:
		l.Release()
	}
}

// All operations run concurrently, for the race detector and the invariants.
func TestResourcesStress(t *testing.T) {
	defer goleak.VerifyNone(t)
	var f resFactory
	p := f.open(t, 3, pools.ResourcesConfig[int64]{
		MinIdle: 1, MaxIdleTime: time.Millisecond, MaxLifetime: 2 * time.Millisecond, CheckAfter: 1,
		Check: func(context.Context, int64) error {
			if rand.IntN(3) == 0 {
				return errInjected
			}
			return nil
		},
	})
	in := pooltest.Invariants{Shrinks: true}
	s := in.HoldUnder(t, p.Stats, func() {
		runConcurrently(16, func(i int) {
			for range 200 {
				doRandomCall(p, &f, i)
			}
		})
		p.Close()
	})
	wantUsage(t, s, 0, 0, 0)
	if f.alive.Load() != 0 || f.peak.Load() > 5 {
		t.Errorf("%d resources alive, at most %d at a time; want 0, at most 5", f.alive.Load(), f.peak.Load())
	}
	made, ended := eventCount(s, instrument.Created, ""), int64(0)
	for _, r := range s.Resources {
		if r.Event == instrument.Ended {
			ended += r.Count
		}
	}
	if made != ended || made != f.made.Load() {
		t.Errorf("%d counted as created and %d as ended, want %d of each", made, ended, f.made.Load())
	}
}

func doRandomCall(p *pools.Resources[int64], f *resFactory, i int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(200))*time.Microsecond)
	defer cancel()
	switch n := rand.IntN(40); {
	case n == 0:
		p.Reset()
	case n == 1:
		_ = p.Resize(1 + rand.IntN(5)) // cannot fail: the pool is not closed yet
	case n == 2:
		_ = p.CreateResource(ctx) // may fail if the pool is full
	case n == 3:
		for _, l := range p.AcquireAllIdle() {
			endRandomly(l)
		}
	case n == 4:
		f.fail.Store(i%2 == 0)
	case n < 10:
		if l, err := p.TryAcquire(ctx); err == nil {
			endRandomly(l)
		}
	default:
		if l, err := p.Acquire(ctx); err == nil {
			endRandomly(l)
		}
	}
}

func TestBurstOfLongLeasesIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const leases = 500
		var f resFactory
		p := f.open(t, leases, pools.ResourcesConfig[int64]{})
		defer p.Close()
		var all [leases]pools.Lease[int64]
		for i := range all {
			all[i] = mustAcquire(t, p)
		}
		for minutes := 1; minutes < 30; minutes++ {
			time.Sleep(time.Minute)
			if got := p.Stats().UseTime.Or(0); math.Abs(got-60*leases*float64(minutes)) > 1e-3 {
				t.Fatalf(
					"use time %v s after %d minutes of %d leases, want %d s",
					got,
					minutes,
					leases,
					60*leases*minutes,
				)
			}
		}
		for _, l := range all {
			l.Release()
		}
	})
}
