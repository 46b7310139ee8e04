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

// Regression: a later caller, or a TryAcquire, was served before a caller that was already waiting.
func TestFaultRequestIsOvertaken(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2} {
		runtime.GOMAXPROCS(procs)
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		for range 1000 {
			l := mustAcquire(t, p)
			first := make(chan pools.Lease[int64], 1)
			go func() { first <- mustAcquire(t, p) }()
			for p.Pending() == 0 {
				runtime.Gosched()
			}
			l.Release()
			if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
				t.Fatalf("TryAcquire while a request is waiting: error %v, want ErrFull", err)
			}
			second := make(chan pools.Lease[int64], 1)
			go func() { second <- mustAcquire(t, p) }()
			select {
			case l := <-first:
				l.Release()
			case <-second:
				t.Fatal("the second request was served before the first")
			}
			l = <-second
			l.Release()
		}
		p.Close()
	}
}

func TestResourcesPendingCountsWaitingCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := mustAcquire(t, p)
		for i := range 500 {
			go func() { mustAcquire(t, p).Release() }()
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
		l := mustAcquire(t, p)
		for range 2 {
			go func() { mustAcquire(t, p).Release() }()
		}
		synctest.Wait()
		_, err := p.Acquire(t.Context())
		if !errors.Is(err, pools.ErrFull) || !strings.HasPrefix(err.Error(), `pools: resources "`) {
			t.Errorf("third waiting request: error %v, want ErrFull with the pool's name", err)
		}
		s := p.Stats()
		if s.PendingLimit.Or(0) != 2 || s.Pending.Or(0) != 2 || s.Requests[instrument.Rejected].Or(0) != 1 {
			t.Errorf("%d pending, pending limit %d, %d rejected; want 2, 2 and 1",
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
		used, idle := mustAcquire(t, p), mustAcquire(t, p)
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

// The wait for a slot ends when the slot is granted, even if its resource has yet to be
// constructed.
func TestResourcesWaitEndsBeforeConstruction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := mustAcquire(t, p)
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
		wantUsage(t, s, 0, 0, 1)
		if s.Pending.Or(-1) != 0 || s.Requests[instrument.Acquired].Or(0) != 1 || s.UseTime.Or(0) != 1 {
			t.Errorf("during the construction: %d pending, %d acquired, used for %v s; want 0, 1 and 1 s",
				s.Pending.Or(-1), s.Requests[instrument.Acquired].Or(0), s.UseTime.Or(0))
		}
		time.Sleep(20 * time.Second) // the caller has given up by now
		got := make(chan pools.Lease[int64], 1)
		go func() { got <- mustAcquire(t, p) }()
		l = <-got
		s = p.Stats()
		late, waited := s.Wait[instrument.TimedOut], s.Wait[instrument.Acquired]
		if late.Count() != 1 || late.Sum() != 1 {
			t.Errorf(
				"%d waits of %v s timed out, want 1 of 1 s, which is how long it took to get a slot",
				late.Count(),
				late.Sum(),
			)
		}
		if waited.Count() != 2 || waited.Sum() != 39 || s.UseTime.Or(0) != 1 {
			t.Errorf("%d waits of %v s in total, used for %v s; want 2 of 39 s, and 1 s",
				waited.Count(), waited.Sum(), s.UseTime.Or(0))
		}
		l.Release()
	})
}

// Regression: one use of 20 ms among 20,000 short uses was missing, or was counted 128 times.
func TestFaultLongUseAmongShortUses(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			var f resFactory
			p := f.open(t, 1, pools.ResourcesConfig[int64]{})
			start := time.Now()
			for i := range 20_000 {
				l := mustAcquire(t, p)
				switch {
				case i == 10_000:
					time.Sleep(20 * time.Millisecond)
				case i%100 == 0:
					time.Sleep(time.Microsecond) // otherwise no virtual time would pass
				}
				l.Release()
			}
			passed := time.Since(start)
			s := p.Stats()
			second := s.Use.Quantile(1 - 1.0/20_000)
			if used := time.Duration(s.UseTime.Or(0) * 1e9); used > passed || used < 19*time.Millisecond {
				t.Errorf("used for %v of %v, want at least 19 ms", used, passed)
			}
			if second > time.Millisecond || s.Use.Count() != 20_000 || s.Use.Max() < 19*time.Millisecond {
				t.Errorf(
					"%d uses, the longest two of %v and %v; want 20,000, of which one is long",
					s.Use.Count(),
					s.Use.Max(),
					second,
				)
			}
			p.Close()
		})
	}
}

func TestResourcesShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 3, pools.ResourcesConfig[int64]{MaxIdleTime: time.Hour})
		used, idle := mustAcquire(t, p), mustAcquire(t, p)
		idle.Release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := p.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute ||
			!strings.Contains(err.Error(), "still 1 in use, 0 being") {
			t.Errorf(
				"Shutdown: error %v after %v, want one that says what remains, after 1 min",
				err,
				time.Since(start),
			)
		}
		if f.destroyed.Load() != 1 {
			t.Errorf("%d resources destroyed, want only the idle one", f.destroyed.Load())
		}
		if _, err := p.Acquire(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("Acquire: error %v, want ErrClosed", err)
		}
		used.Release()
		if err := p.Shutdown(t.Context()); err != nil || f.alive.Load() != 0 {
			t.Errorf("second Shutdown: error %v, %d resources alive; want none", err, f.alive.Load())
		}
		p.Close()
		f.open(t, 1, pools.ResourcesConfig[int64]{}).Close() // the name is available again
	})
}
