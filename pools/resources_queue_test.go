package pools_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// A later caller, or a TryAcquire, was once served before a caller that was already waiting.
func TestFaultResourcesAreOvertaken(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2} {
		runtime.GOMAXPROCS(procs)
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		for range 1000 {
			l := resAcquire(t, p)
			first := make(chan pools.Lease[int64], 1)
			go func() { first <- resAcquire(t, p) }()
			for p.Pending() == 0 {
				runtime.Gosched()
			}
			l.Release()
			if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
				t.Fatalf("TryAcquire: %v, while one waited before it", err)
			}
			second := make(chan pools.Lease[int64], 1)
			go func() { second <- resAcquire(t, p) }()
			select {
			case l := <-first:
				l.Release()
			case <-second:
				t.Fatal("the second was served first")
			}
			l = <-second
			l.Release()
		}
		p.Close()
	}
}

func TestResourcesPendingCountsEachCallerThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := resAcquire(t, p)
		for i := range 500 {
			go func() { resAcquire(t, p).Release() }()
			synctest.Wait()
			if n := p.Stats().Pending.Or(0); n != int64(i+1) || p.Pending() != i+1 {
				t.Fatalf("%d pending, want %d", n, i+1)
			}
		}
		l.Release()
		synctest.Wait()
	})
}

func TestResourcesMaxPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxPending: 2})
		defer p.Close()
		l := resAcquire(t, p)
		for range 2 {
			go func() { resAcquire(t, p).Release() }()
		}
		synctest.Wait()
		_, err := p.Acquire(t.Context())
		if !errors.Is(err, pools.ErrFull) || !strings.HasPrefix(err.Error(), `pools: resources "`) {
			t.Errorf("the third that waits: %v", err)
		}
		s := p.Stats()
		if s.PendingLimit.Or(0) != 2 || s.Pending.Or(0) != 2 || s.Requests[instrument.Rejected].Or(0) != 1 {
			t.Errorf("%d pending of %d, %d rejected",
				s.Pending.Or(0), s.PendingLimit.Or(0), s.Requests[instrument.Rejected].Or(0))
		}
		l.Release()
		synctest.Wait()
	})
}

func TestResourcesSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: time.Second}
		p := f.open(t, 5, pools.ResourcesConfig[int64]{})
		defer p.Close()
		used, idle := resAcquire(t, p), resAcquire(t, p)
		idle.Release()
		go func() { _ = p.CreateResource(t.Context()) }()
		synctest.Wait()
		if p.Limit() != 5 || p.Size() != 3 || p.Used() != 1 || p.Idle() != 1 || p.Pending() != 0 {
			t.Errorf("limit %d, size %d, used %d, idle %d, pending %d; want 5, 3, 1, 1, 0",
				p.Limit(), p.Size(), p.Used(), p.Idle(), p.Pending())
		}
		used.Release()
	})
}

// The wait for a slot whose resource is still to be constructed ends when the slot is granted.
func TestResourcesWaitForASlotEndsBeforeItsConstruction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := resAcquire(t, p)
		f.takes = time.Minute
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() {
			_, _ = p.Acquire(short)
		}()
		time.Sleep(time.Second)
		l.Destroy()
		time.Sleep(time.Second)
		s := p.Stats()
		resWantUsage(t, s, 0, 0, 1)
		if s.Pending.Or(-1) != 0 || s.Requests[instrument.Acquired].Or(0) != 1 || s.UseTime.Or(0) != 1 {
			t.Errorf("%d pending, %d acquired, used for %v s, while it is constructed; want 0, 1, 1 s",
				s.Pending.Or(-1), s.Requests[instrument.Acquired].Or(0), s.UseTime.Or(0))
		}
		time.Sleep(20 * time.Second) // the caller has given up
		got := make(chan pools.Lease[int64], 1)
		go func() { got <- resAcquire(t, p) }()
		l = <-got
		s = p.Stats()
		late, waited := s.Wait[instrument.TimedOut], s.Wait[instrument.Acquired]
		if late.Count() != 1 || late.Sum() != 1 {
			t.Errorf("%d waits of %v s ended late, want 1 of the 1 s until there was a slot", late.Count(), late.Sum())
		}
		if waited.Count() != 2 || waited.Sum() != 39 || s.UseTime.Or(0) != 1 {
			t.Errorf("waits of %v s, used for %v s; want 39 s and 1 s", waited.Sum(), s.UseTime.Or(0))
		}
		l.Release()
	})
}

// One use of 20 ms among 20,000 short ones was once missing, or counted 128 times.
func TestFaultLongUseAmongShortOnes(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			var f resFactory
			p := f.open(t, 1, pools.ResourcesConfig[int64]{})
			start := time.Now()
			for i := range 20_000 {
				l := resAcquire(t, p)
				switch {
				case i == 10_000:
					time.Sleep(20 * time.Millisecond)
				case i%100 == 0:
					time.Sleep(time.Microsecond) // between 15,000 events that take no time
				}
				l.Release()
			}
			passed := time.Since(start)
			s := p.Stats()
			second := s.Use.Quantile(1 - 1.0/20_000)
			if used := time.Duration(s.UseTime.Or(0) * 1e9); used > passed || used < 19*time.Millisecond {
				t.Errorf("used for %v of %v", used, passed)
			}
			if second > time.Millisecond || s.Use.Count() != 20_000 || s.Use.Max() < 19*time.Millisecond {
				t.Errorf("%d uses up to %v and %v, want one of 20,000 long", s.Use.Count(), second, s.Use.Max())
			}
			p.Close()
		})
	}
}

func TestResourcesShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 3, pools.ResourcesConfig[int64]{MaxIdleTime: time.Hour})
		used, idle := resAcquire(t, p), resAcquire(t, p)
		idle.Release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := p.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute ||
			!strings.Contains(err.Error(), "still 1 in use, 0 being") {
			t.Errorf("error %v after %v, want one that says what is left after 1 min", err, time.Since(start))
		}
		if f.destroyed.Load() != 1 {
			t.Errorf("%d destroyed, want the idle one", f.destroyed.Load())
		}
		if _, err := p.Acquire(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("Acquire: %v", err)
		}
		used.Release()
		if err := p.Shutdown(t.Context()); err != nil || f.alive.Load() != 0 {
			t.Errorf("%v, %d resources left", err, f.alive.Load())
		}
		p.Close()
		f.open(t, 1, pools.ResourcesConfig[int64]{}).Close() // the name is free
	})
}
