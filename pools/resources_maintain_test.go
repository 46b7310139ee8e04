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

func TestResourcesMinIdleIsKeptAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		f.fail.Store(true)
		p := f.open(t, 3, pools.ResourcesConfig[int64]{MinIdle: 2})
		defer p.Close()
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 0, 0)
		f.fail.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 2, 0)
		first := resAcquire(t, p)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 1, 2, 0)
		second := resAcquire(t, p) // the limit allows one more
		synctest.Wait()
		resWantUsage(t, p.Stats(), 2, 1, 0)
		first.Destroy()
		synctest.Wait()
		resWantUsage(t, p.Stats(), 1, 2, 0)
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
			leases = append(leases, resAcquire(t, p))
		}
		for _, l := range leases {
			time.Sleep(time.Second)
			l.Release()
		}
		// They were released at 1, 2 and 3 s, after MinIdle had added a fourth at 0 s: one is
		// closed each second, and the last stays.
		time.Sleep(time.Minute - 3*time.Second - 1)
		for _, left := range []int64{4, 3, 2, 1, 1} {
			synctest.Wait()
			resWantUsage(t, p.Stats(), 0, left, 0)
			time.Sleep(time.Second)
		}
		if n := resCount(p.Stats(), instrument.Ended, "idle"); n != 3 {
			t.Errorf("%d ended for being idle, want 3", n)
		}
	})
}

func TestResourcesMaxLifetimeHasJitterAndIsNeverExceededByIdleOnes(t *testing.T) {
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
			t.Errorf("%d ended before nine tenths of their time", n)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := f.destroyed.Load(); n < 5 || n > 44 {
			t.Errorf("%d of 49 ended in the first half of the jitter", n)
		}
		time.Sleep(5*time.Second + 1)
		synctest.Wait()
		if n := resCount(p.Stats(), instrument.Ended, "lifetime"); n != 49 || f.destroyed.Load() != 49 {
			t.Errorf("%d of 49 ended", n)
		}
		used := resAcquire(t, p)
		time.Sleep(time.Hour)
		used.Value()
		used.Release() // closed now
		synctest.Wait()
		if n := f.destroyed.Load(); n != 50 {
			t.Error("one that came back after its time was kept")
		}
	})
}

func TestResourcesCheckIsMadeAfterIdleTimeAndReplacesWhatFails(t *testing.T) {
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
					return errResTest
				}
				return nil
			},
		})
		defer p.Close()
		use := func(after time.Duration, wantChecked int, want int64) {
			t.Helper()
			time.Sleep(after)
			l := resAcquire(t, p)
			if checked != wantChecked || l.Value() != want {
				t.Errorf("got %d after %d checks, want %d after %d", l.Value(), checked, want, wantChecked)
			}
			time.Sleep(time.Second)
			l.Release()
		}
		use(0, 0, 1)
		use(time.Minute-2, 0, 1) // the clock only has odd nanoseconds
		use(time.Minute, 1, 1)
		use(0, 1, 1)
		broken = 1
		use(time.Minute, 2, 2)
		use(time.Minute, 3, 3)
		time.Sleep(time.Hour)
		if _, err := p.TryAcquire(t.Context()); err == nil {
			t.Error("TryAcquire lent one that is due for its check")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		l, err := p.TryAcquire(t.Context())
		if err != nil || checked != 4 {
			t.Fatalf("TryAcquire after the check: %v", err)
		}
		if got := l.IdleDuration(); got != time.Hour+time.Second {
			t.Errorf("idle for %v, want 1 h 1 s: a check is no use", got)
		}
		l.Release()
		s := p.Stats()
		if n := resCount(
			s,
			instrument.Ended,
			"health",
		); n != 2 || f.destroyed.Load() != 2 ||
			s.Wait[instrument.Acquired].Max() != 0 {
			t.Errorf("%d ended for their health, waits up to %v; want 2 and 0", n, s.Wait[instrument.Acquired].Max())
		}
	})
}

// A resource that became idle after the maintenance last ran is closed in time.
func TestResourcesIdleSinceTheTimerWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxIdleTime: time.Minute})
		defer p.Close()
		l := resAcquire(t, p)
		time.Sleep(30 * time.Second)
		l.Release()
		time.Sleep(time.Minute - 2)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 1, 0)
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 0, 0)
	})
}

func TestResourcesReleasedUnusedKeepTheirIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxIdleTime: time.Minute})
		defer p.Close()
		resAcquire(t, p).Release()
		time.Sleep(50 * time.Second)
		l := resAcquire(t, p)
		time.Sleep(5 * time.Second)
		l.ReleaseUnused()
		time.Sleep(5*time.Second - 2)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 1, 0)
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 0, 0)
		l = resAcquire(t, p)
		time.Sleep(time.Hour)
		l.ReleaseUnused() // already overdue
		time.Sleep(time.Millisecond)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 0, 0)
	})
}

func TestResourcesThatExpireInUseAreNotLentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxLifetime: time.Minute})
		defer p.Close()
		l := resAcquire(t, p)
		got := make(chan pools.Lease[int64], 1)
		go func() { got <- resAcquire(t, p) }()
		time.Sleep(time.Minute)
		l.Release()
		l = <-got
		if l.Value() != 2 {
			t.Errorf("got %d, whose lifetime is over", l.Value())
		}
		l.Release()
		if n := resCount(p.Stats(), instrument.Ended, "lifetime"); n != 1 {
			t.Errorf("%d ended by their lifetime, want 1", n)
		}
	})
}

// More resources expire at the same time than the maintenance closes in one batch, while others are
// lent and move within the list of slots.
func TestResourcesThatExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, least = 1000, 10
		var f resFactory
		p := f.open(t, n, pools.ResourcesConfig[int64]{MaxIdleTime: time.Minute, MinIdle: least})
		defer p.Close()
		leases := make([]pools.Lease[int64], n)
		for i := range leases {
			leases[i] = resAcquire(t, p)
		}
		for _, l := range leases {
			l.Release()
		}
		time.Sleep(time.Minute)
		for range 100 {
			resAcquire(t, p).Release()
		}
		synctest.Wait()
		if ended := resCount(p.Stats(), instrument.Ended, "idle"); ended != n-least || p.Idle() != least {
			t.Errorf("%d ended, %d idle; want %d and %d", ended, p.Idle(), n-least, least)
		}
	})
}

func TestResourcesMinIdleIsMetInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 300, pools.ResourcesConfig[int64]{MinIdle: 200})
		defer p.Close()
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 200, 0)
		p.Reset()
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 200, 0)
		if f.made.Load() != 400 || f.peak.Load() > 300 {
			t.Errorf("%d made, %d at once", f.made.Load(), f.peak.Load())
		}
	})
}

// BenchmarkAcquireWhile20000Expire reports the longest time for which a caller is blocked while
// 20,000 resources are closed.
func BenchmarkAcquireWhile20000Expire(b *testing.B) {
	for b.Loop() {
		var f resFactory
		const n = 20_000
		p := f.open(b, n, pools.ResourcesConfig[int64]{MaxIdleTime: 300 * time.Millisecond})
		leases := make([]pools.Lease[int64], n)
		for i := range leases {
			leases[i] = resAcquire(b, p)
		}
		for _, l := range leases {
			l.Release()
		}
		var longest time.Duration
		for f.destroyed.Load() < n-1 {
			start := time.Now()
			l := resAcquire(b, p)
			longest = max(longest, time.Since(start))
			l.Release()
			runtime.Gosched()
		}
		b.ReportMetric(float64(longest.Microseconds()), "µs-longest")
		p.Close()
	}
}

func TestResourcesCreatedSinceTheTimerWasSetExpireInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{MaxLifetime: time.Minute})
		defer p.Close()
		synctest.Wait()
		time.Sleep(time.Second)
		resAcquire(t, p).Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 0, 0)
	})
}

// A resource that is being destroyed because of a Reset must not be closed again when it expires.
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
		resAcquire(t, p).Release()
		p.Reset()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		resWantUsage(t, p.Stats(), 0, 0, 0)
		if p.Size() != 1 {
			t.Errorf("size %d while one is being destroyed", p.Size())
		}
		p.Close()
		if destroyed != 1 {
			t.Errorf("destroyed %d times", destroyed)
		}
	})
}
