package pools_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

func TestResourcesMinIdleIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		f.fail.Store(true)
		p := f.open(t, 3, pools.ResourcesConfig[int64]{MinIdle: 2})
		defer p.Close()
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 0, 0)
		f.fail.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 2, 0)
		first := mustAcquire(t, p)
		synctest.Wait()
		wantUsage(t, p.Stats(), 1, 2, 0)
		second := mustAcquire(t, p) // the limit allows only one more
		synctest.Wait()
		wantUsage(t, p.Stats(), 2, 1, 0)
		first.Destroy()
		synctest.Wait()
		wantUsage(t, p.Stats(), 1, 2, 0)
		second.Release()
	})
}

func TestResourcesMaxIdleTimeIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 4, pools.ResourcesConfig[int64]{MaxIdleTime: time.Minute, MinIdle: 1})
		defer p.Close()
		var leases []pools.Lease[int64]
		for range 3 {
			leases = append(leases, mustAcquire(t, p))
		}
		for _, l := range leases {
			time.Sleep(time.Second)
			l.Release()
		}
		// Three resources were released at 1, 2 and 3 s, and MinIdle had added a fourth at 0 s.
		// From 60 s on, one is closed each second, until one is left.
		time.Sleep(time.Minute - 3*time.Second - 1)
		for _, left := range []int64{4, 3, 2, 1, 1} {
			synctest.Wait()
			wantUsage(t, p.Stats(), 0, left, 0)
			time.Sleep(time.Second)
		}
		if n := eventCount(p.Stats(), instrument.Ended, "idle"); n != 3 {
			t.Errorf("%d resources ended with reason idle, want 3", n)
		}
	})
}

func TestResourcesMaxLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 50, pools.ResourcesConfig[int64]{MaxLifetime: 100 * time.Second})
		defer p.Close()
		for range 49 {
			if err := p.CreateResource(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(90*time.Second - 1)
		synctest.Wait()
		if n := f.destroyed.Load(); n != 0 {
			t.Errorf("%d resources ended before 90%% of MaxLifetime, want none", n)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := f.destroyed.Load(); n < 5 || n > 44 {
			t.Errorf("%d of 49 resources ended between 90%% and 95%% of MaxLifetime, want about half", n)
		}
		time.Sleep(5*time.Second + 1)
		synctest.Wait()
		if n := eventCount(p.Stats(), instrument.Ended, "lifetime"); n != 49 || f.destroyed.Load() != 49 {
			t.Errorf("%d of 49 resources ended with reason lifetime, want all", n)
		}
		used := mustAcquire(t, p)
		time.Sleep(time.Hour)
		used.Value()
		used.Release() // closes it
		synctest.Wait()
		if n := f.destroyed.Load(); n != 50 {
			t.Errorf("%d resources destroyed, want 50: one was released after its lifetime", n)
		}
	})
}

func TestResourcesCheckAfterIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		checked := 0
		broken := int64(0)
		p := f.open(t, 1, pools.ResourcesConfig[int64]{
			CheckAfter: time.Minute,
			Check: func(_ context.Context, n int64) error {
				checked++
				time.Sleep(time.Second)
				if n == 2 {
					panic("check")
				}
				if n == broken {
					return errInjected
				}
				return nil
			},
		})
		defer p.Close()
		use := func(after time.Duration, wantChecked int, want int64) {
			t.Helper()
			time.Sleep(after)
			l := mustAcquire(t, p)
			if checked != wantChecked || l.Value() != want {
				t.Errorf("got resource %d after %d checks, want %d after %d", l.Value(), checked, want, wantChecked)
			}
			time.Sleep(time.Second)
			l.Release()
		}
		use(0, 0, 1)
		use(time.Minute-2, 0, 1) // 2 ns short of CheckAfter
		use(time.Minute, 1, 1)
		use(0, 1, 1)
		broken = 1
		use(time.Minute, 2, 2)
		use(time.Minute, 3, 3)
		time.Sleep(time.Hour)
		if _, err := p.TryAcquire(t.Context()); err == nil {
			t.Error("TryAcquire lent a resource that is due for a check")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		l, err := p.TryAcquire(t.Context())
		if err != nil || checked != 4 {
			t.Fatalf("TryAcquire after the check: error %v after %d checks, want none after 4", err, checked)
		}
		if got := l.IdleDuration(); got != time.Hour+time.Second {
			t.Errorf("idle for %v, want 1 h 1 s: a check must not reset the idle time", got)
		}
		l.Release()
		s := p.Stats()
		if n := eventCount(
			s,
			instrument.Ended,
			"health",
		); n != 2 || f.destroyed.Load() != 2 ||
			s.Wait[instrument.Acquired].Max() != 0 {
			t.Errorf(
				"%d resources ended with reason health, waits of at most %v; want 2 and 0",
				n,
				s.Wait[instrument.Acquired].Max(),
			)
		}
	})
}

// A resource that becomes idle after the timer was set is closed on time.
func TestResourcesIdleAfterTimerWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxIdleTime: time.Minute})
		defer p.Close()
		l := mustAcquire(t, p)
		time.Sleep(30 * time.Second)
		l.Release()
		time.Sleep(time.Minute - 2)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 1, 0)
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 0, 0)
	})
}

func TestResourcesReleaseUnusedKeepsIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxIdleTime: time.Minute})
		defer p.Close()
		mustAcquire(t, p).Release()
		time.Sleep(50 * time.Second)
		l := mustAcquire(t, p)
		time.Sleep(5 * time.Second)
		l.ReleaseUnused()
		time.Sleep(5*time.Second - 2)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 1, 0)
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 0, 0)
		l = mustAcquire(t, p)
		time.Sleep(time.Hour)
		l.ReleaseUnused() // already overdue
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 0, 0)
	})
}

func TestResourcesThatExpireInUseAreNotLentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxLifetime: time.Minute})
		defer p.Close()
		l := mustAcquire(t, p)
		got := make(chan pools.Lease[int64], 1)
		go func() { got <- mustAcquire(t, p) }()
		time.Sleep(time.Minute)
		l.Release()
		l = <-got
		if l.Value() != 2 {
			t.Errorf("got resource %d, whose lifetime is over, want 2", l.Value())
		}
		l.Release()
		if n := eventCount(p.Stats(), instrument.Ended, "lifetime"); n != 1 {
			t.Errorf("%d resources ended with reason lifetime, want 1", n)
		}
	})
}

// More resources expire together than fit into one batch, while others are lent and released.
func TestResourcesThatExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, minIdle = 1000, 10
		var f resFactory
		p := f.open(t, n, pools.ResourcesConfig[int64]{MaxIdleTime: time.Minute, MinIdle: minIdle})
		defer p.Close()
		leases := make([]pools.Lease[int64], n)
		for i := range leases {
			leases[i] = mustAcquire(t, p)
		}
		for _, l := range leases {
			l.Release()
		}
		time.Sleep(time.Minute)
		for range 100 {
			mustAcquire(t, p).Release()
		}
		synctest.Wait()
		if ended := eventCount(p.Stats(), instrument.Ended, "idle"); ended != n-minIdle || p.Idle() != minIdle {
			t.Errorf("%d resources ended, %d idle; want %d and %d", ended, p.Idle(), n-minIdle, minIdle)
		}
	})
}

func TestResourcesMinIdleIsMetInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 300, pools.ResourcesConfig[int64]{MinIdle: 200})
		defer p.Close()
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 200, 0)
		p.Reset()
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 200, 0)
		if f.made.Load() != 400 || f.peak.Load() > 300 {
			t.Errorf("%d resources made, at most %d at a time; want 400, at most 300", f.made.Load(), f.peak.Load())
		}
	})
}

// BenchmarkAcquireWhile20000Expire reports the longest time that Acquire takes while 20,000
// resources expire.
func BenchmarkAcquireWhile20000Expire(b *testing.B) {
	for b.Loop() {
		var f resFactory
		const n = 20_000
		p := f.open(b, n, pools.ResourcesConfig[int64]{MaxIdleTime: 300 * time.Millisecond})
		leases := make([]pools.Lease[int64], n)
		for i := range leases {
			leases[i] = mustAcquire(b, p)
		}
		for _, l := range leases {
			l.Release()
		}
		var longest time.Duration
		for f.destroyed.Load() < n-1 {
			start := time.Now()
			l := mustAcquire(b, p)
			longest = max(longest, time.Since(start))
			l.Release()
			runtime.Gosched()
		}
		b.ReportMetric(float64(longest.Microseconds()), "µs-longest")
		p.Close()
	}
}

func TestResourcesCreatedAfterTimerWasSetExpireOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxLifetime: time.Minute})
		defer p.Close()
		synctest.Wait()
		time.Sleep(time.Second)
		mustAcquire(t, p).Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 0, 0)
	})
}

// A resource that is being destroyed because of a Reset must not be destroyed again when it
// expires.
func TestInvalidatedResourcesAreNotDestroyedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		destroyed := 0
		p, err := pools.NewResources(t.Name(), 2, new(resFactory).construct, pools.ResourcesConfig[int64]{
			MaxLifetime: time.Minute,
			Destroy:     func(int64) { time.Sleep(time.Hour); destroyed++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		mustAcquire(t, p).Release()
		p.Reset()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 0, 0)
		if p.Size() != 1 {
			t.Errorf("size %d while one resource is being destroyed, want 1", p.Size())
		}
		p.Close()
		if destroyed != 1 {
			t.Errorf("destroyed %d times, want once", destroyed)
		}
	})
}
