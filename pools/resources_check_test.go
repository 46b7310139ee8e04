package pools_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// newPoolDueForCheck returns a pool with one resource that is idle and due for a check.
func newPoolDueForCheck(t *testing.T, f *resFactory, cfg pools.ResourcesConfig[int64]) *pools.Resources[int64] {
	t.Helper()
	p := f.open(t, 1, cfg)
	mustAcquire(t, p).Release()
	time.Sleep(time.Minute)
	return p
}

func TestCheckContextHasCallersValues(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		var saw any
		p := newPoolDueForCheck(t, &f, pools.ResourcesConfig[int64]{
			Check: func(ctx context.Context, _ int64) error { saw = ctx.Value(key{}); return nil },
		})
		defer p.Close()
		l, err := p.Acquire(context.WithValue(t.Context(), key{}, "trace"))
		if err != nil || saw != "trace" {
			t.Fatalf("the check saw the value %v, error %v; want trace and none", saw, err)
		}
		l.Release()
	})
}

func TestCheckTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var f resFactory
			p := newPoolDueForCheck(t, &f, pools.ResourcesConfig[int64]{
				CheckTimeout: timeout,
				Check:        func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() },
			})
			defer p.Close()
			start := time.Now()
			l := mustAcquire(t, p)
			if took := time.Since(start); took != want || l.Value() != 2 || f.peak.Load() != 1 {
				t.Errorf(
					"got resource %d after %v, at most %d at a time; want 2 after %v, 1 at a time",
					l.Value(),
					took,
					f.peak.Load(),
					want,
				)
			}
			l.Release()
		})
	}
}

func TestCheckWithoutTimeLimitEndsWhenPoolIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := newPoolDueForCheck(t, &f, pools.ResourcesConfig[int64]{
			CheckTimeout: -1,
			Check:        func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() },
		})
		got := make(chan error, 1)
		go func() {
			_, err := p.Acquire(context.Background())
			got <- err
		}()
		time.Sleep(24 * time.Hour)
		wantUsage(t, p.Stats(), 0, 0, 1)
		p.Close()
		if err := <-got; !errors.Is(err, pools.ErrClosed) {
			t.Errorf("Acquire: error %v, want ErrClosed", err)
		}
		s := p.Stats()
		if f.made.Load() != 1 || f.destroyed.Load() != 1 || eventCount(s, instrument.Ended, "pool_closed") != 1 {
			t.Errorf(
				"%d made, %d destroyed, lifecycle events %v; want 1, 1 and 1 pool_closed",
				f.made.Load(),
				f.destroyed.Load(),
				s.Resources,
			)
		}
	})
}

// Regression: a connection that no longer responded made every later Acquire time out.
func TestFaultHangingCheckLosesOnlyItsResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		network := make(chan struct{})
		p := newPoolDueForCheck(t, &f, pools.ResourcesConfig[int64]{
			Check: func(_ context.Context, n int64) error {
				if n == 1 {
					<-network // ignores its context
				}
				return nil
			},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Acquire(ctx); err != context.DeadlineExceeded { //nolint:errorlint // must not be wrapped
			t.Errorf("Acquire: error %v, want DeadlineExceeded", err)
		}
		start := time.Now()
		l := mustAcquire(t, p)
		if took := time.Since(start); took != 5*time.Second || l.Value() != 2 {
			t.Errorf("got resource %d after %v, want 2 after the remaining 5 s of the check", l.Value(), took)
		}
		l.Release()
		if s := p.Stats(); eventCount(s, instrument.Ended, "health") != 1 || f.destroyed.Load() != 0 {
			t.Errorf(
				"%d destroyed during the hung check, lifecycle events %v; want none, and 1 ended by health",
				f.destroyed.Load(),
				s.Resources,
			)
		}
		closed := make(chan struct{})
		go func() {
			p.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for the check")
		default:
		}
		close(network)
		<-closed
		if f.alive.Load() != 0 {
			t.Errorf("%d resources alive after Close, want 0", f.alive.Load())
		}
	})
}

// Regression: the check started by TryAcquire used the context of the caller, which often ends
// right after the call.
func TestFaultCanceledTryAcquireDestroysHealthyResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := newPoolDueForCheck(t, &f, pools.ResourcesConfig[int64]{
			Check: func(ctx context.Context, _ int64) error { time.Sleep(time.Second); return ctx.Err() },
		})
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := p.TryAcquire(ctx); !errors.Is(err, pools.ErrFull) {
			t.Errorf("TryAcquire: error %v, want ErrFull", err)
		}
		cancel()
		time.Sleep(time.Second)
		synctest.Wait()
		l, err := p.TryAcquire(t.Context())
		if err != nil || l.Value() != 1 {
			t.Fatalf("TryAcquire after the check: error %v, want the same resource", err)
		}
		l.Release()
	})
}

func TestCheckContinuesWhenItsCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := newPoolDueForCheck(t, &f, pools.ResourcesConfig[int64]{
			Check: func(ctx context.Context, _ int64) error { time.Sleep(2 * time.Second); return ctx.Err() },
		})
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Acquire(ctx); err != context.DeadlineExceeded { //nolint:errorlint // must not be wrapped
			t.Errorf("Acquire: error %v, want DeadlineExceeded", err)
		}
		start := time.Now()
		l := mustAcquire(t, p)
		if took := time.Since(start); took != time.Second || l.Value() != 1 {
			t.Errorf("got resource %d after %v, want 1 after the remaining 1 s of its check", l.Value(), took)
		}
		l.Release()
	})
}

func TestNegativeCheckAfterChecksEveryUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		checks := 0
		p := f.open(t, 1, pools.ResourcesConfig[int64]{
			CheckAfter: -1,
			Check:      func(context.Context, int64) error { checks++; return nil },
		})
		defer p.Close()
		for range 3 { // the first call finds no idle resource
			mustAcquire(t, p).Release()
		}
		if checks != 2 {
			t.Errorf("%d checks, want 2", checks)
		}
		for range 3 {
			if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
				t.Errorf("TryAcquire before the check: error %v, want ErrFull", err)
			}
			synctest.Wait()
			l, err := p.TryAcquire(t.Context())
			if err != nil {
				t.Fatalf("TryAcquire after the check: %v", err)
			}
			time.Sleep(time.Millisecond)
			l.Release()
		}
		if checks != 5 {
			t.Errorf("%d checks, want 5", checks)
		}
		_, _ = p.TryAcquire(t.Context()) // starts a check
		time.Sleep(time.Second)
		if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
			t.Errorf("TryAcquire a second after the check: error %v, want ErrFull", err)
		}
	})
}

func TestResetDuringCheck(t *testing.T) {
	for name, result := range map[string]error{"passes": nil, "fails": errInjected} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f resFactory
				p := newPoolDueForCheck(t, &f, pools.ResourcesConfig[int64]{
					Check: func(context.Context, int64) error { time.Sleep(time.Second); return result },
				})
				defer p.Close()
				go func() {
					time.Sleep(time.Second / 2)
					p.Reset()
				}()
				l := mustAcquire(t, p)
				if l.Value() != 2 {
					t.Errorf("got resource %d, want 2, which was made after the Reset", l.Value())
				}
				l.Release()
				wantUsage(t, p.Stats(), 0, 1, 0)
				l = mustAcquire(t, p)
				if l.Value() != 2 {
					t.Errorf("got resource %d, want 2 again: it was made after the Reset", l.Value())
				}
				l.Release()
				if n := eventCount(p.Stats(), instrument.Ended, "reset"); n != 1 {
					t.Errorf("%d resources ended by the Reset, want 1", n)
				}
			})
		})
	}
}

func TestResetDuringConstruction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: time.Second}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
			t.Fatal(err)
		}
		synctest.Wait()
		p.Reset()
		time.Sleep(time.Second)
		synctest.Wait()
		wantUsage(t, p.Stats(), 0, 0, 0)
		if n := eventCount(p.Stats(), instrument.Ended, "reset"); n != 1 {
			t.Errorf("%d resources ended by the Reset, want the one whose construction began before it", n)
		}
	})
}
