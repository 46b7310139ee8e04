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

func resCrowd(goroutines int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func Test10000GoroutinesThatCancelLoseNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	var f resFactory
	p := f.open(t, 4, pools.ResourcesConfig[int64]{})
	var in pooltest.Invariants
	var acquired, gaveUp atomic.Int64
	s := in.HoldUnder(t, p.Stats, func() {
		resCrowd(10_000, func(i int) {
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
			resEnd(l)
		})
	})
	if got := s.Requests[instrument.Acquired].Or(
		0,
	); got != acquired.Load() ||
		got+s.Requests[instrument.Canceled].Or(0) != 10_000 {
		t.Errorf("requests %v, want %d acquired and %d canceled", s.Requests, acquired.Load(), gaveUp.Load())
	}
	for range 4 { // all four slots still exist
		resAcquire(t, p).Destroy()
	}
	p.Close()
	if f.alive.Load() != 0 || f.peak.Load() > 4 {
		t.Errorf("%d resources alive, %d at most", f.alive.Load(), f.peak.Load())
	}
}

// resEnd ends a lease in one of the possible ways, except by Hijack.
func resEnd(l pools.Lease[int64]) {
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

// All operations at once leave the invariants intact and cause no data race.
func TestResourcesUnderEverythingAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	var f resFactory
	p := f.open(t, 3, pools.ResourcesConfig[int64]{
		MinIdle: 1, MaxIdleTime: time.Millisecond, MaxLifetime: 2 * time.Millisecond, CheckAfter: 1,
		Check: func(context.Context, int64) error {
			if rand.IntN(3) == 0 {
				return errResTest
			}
			return nil
		},
	})
	in := pooltest.Invariants{Shrinks: true}
	s := in.HoldUnder(t, p.Stats, func() {
		resCrowd(16, func(i int) {
			for range 200 {
				resAnything(p, &f, i)
			}
		})
		p.Close()
	})
	resWantUsage(t, s, 0, 0, 0)
	if f.alive.Load() != 0 || f.peak.Load() > 5 {
		t.Errorf("%d resources alive, %d at most", f.alive.Load(), f.peak.Load())
	}
	made, ended := resCount(s, instrument.Created, ""), int64(0)
	for _, r := range s.Resources {
		if r.Event == instrument.Ended {
			ended += r.Count
		}
	}
	if made != ended || made != f.made.Load() {
		t.Errorf("%d counted as made and %d as ended, of %d", made, ended, f.made.Load())
	}
}

func resAnything(p *pools.Resources[int64], f *resFactory, i int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(200))*time.Microsecond)
	defer cancel()
	switch n := rand.IntN(40); {
	case n == 0:
		p.Reset()
	case n == 1:
		_ = p.Resize(1 + rand.IntN(5)) // never fails, since the pool is not closed here
	case n == 2:
		_ = p.CreateResource(ctx) // may fail because the pool is full
	case n == 3:
		for _, l := range p.AcquireAllIdle() {
			resEnd(l)
		}
	case n == 4:
		f.fail.Store(i%2 == 0)
	case n < 10:
		if l, err := p.TryAcquire(ctx); err == nil {
			resEnd(l)
		}
	default:
		if l, err := p.Acquire(ctx); err == nil {
			resEnd(l)
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
			all[i] = resAcquire(t, p)
		}
		for minutes := 1; minutes < 30; minutes++ {
			time.Sleep(time.Minute)
			if got := p.Stats().UseTime.Or(0); math.Abs(got-60*leases*float64(minutes)) > 1e-3 {
				t.Fatalf("%v s used after %d minutes of %d leases", got, minutes, leases)
			}
		}
		for _, l := range all {
			l.Release()
		}
	})
}
