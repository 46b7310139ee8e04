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

// resChecked returns a pool with one resource, which is idle and due for its check.
func resChecked(t *testing.T, f *resFactory, cfg pools.ResourcesConfig[int64]) *pools.Resources[int64] {
	t.Helper()
	p := f.open(t, 1, cfg)
	resAcquire(t, p).Release()
	time.Sleep(time.Minute)
	return p
}

func TestCheckSeesTheValuesOfItsCaller(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		var saw any
		p := resChecked(t, &f, pools.ResourcesConfig[int64]{
			Check: func(ctx context.Context, _ int64) error { saw = ctx.Value(key{}); return nil },
		})
		defer p.Close()
		l, err := p.Acquire(context.WithValue(t.Context(), key{}, "trace"))
		if err != nil || saw != "trace" {
			t.Fatalf("the check saw %v; %v", saw, err)
		}
		l.Release()
	})
}

func TestCheckHasATimeLimit(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var f resFactory
			p := resChecked(t, &f, pools.ResourcesConfig[int64]{
				CheckTimeout: timeout,
				Check:        func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() },
			})
			defer p.Close()
			start := time.Now()
			l := resAcquire(t, p)
			if took := time.Since(start); took != want || l.Value() != 2 || f.peak.Load() != 1 {
				t.Errorf("got %d after %v, %d at once; want 2 after %v", l.Value(), took, f.peak.Load(), want)
			}
			l.Release()
		})
	}
}

func TestCheckWithoutATimeLimitEndsWithThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := resChecked(t, &f, pools.ResourcesConfig[int64]{
			CheckTimeout: -1,
			Check:        func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() },
		})
		got := make(chan error, 1)
		go func() {
			_, err := p.Acquire(context.Background())
			got <- err
		}()
		time.Sleep(24 * time.Hour)
		resWantUsage(t, p.Stats(), 0, 0, 1)
		p.Close()
		if err := <-got; !errors.Is(err, pools.ErrClosed) {
			t.Errorf("error %v", err)
		}
		s := p.Stats()
		if f.made.Load() != 1 || f.destroyed.Load() != 1 || resCount(s, instrument.Ended, "pool_closed") != 1 {
			t.Errorf("%d made, %d destroyed, resources %v", f.made.Load(), f.destroyed.Load(), s.Resources)
		}
	})
}

// A connection that no longer responded once made every later Acquire time out.
func TestFaultCheckThatHangsCostsOneResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		network := make(chan struct{})
		p := resChecked(t, &f, pools.ResourcesConfig[int64]{
			Check: func(_ context.Context, n int64) error {
				if n == 1 {
					<-network // ignores its context
				}
				return nil
			},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Acquire(ctx); err != context.DeadlineExceeded { //nolint:errorlint // bare
			t.Errorf("error %v", err)
		}
		start := time.Now()
		l := resAcquire(t, p)
		if took := time.Since(start); took != 5*time.Second || l.Value() != 2 {
			t.Errorf("got %d after %v, want 2 after the rest of the check's 6 s", l.Value(), took)
		}
		l.Release()
		if s := p.Stats(); resCount(s, instrument.Ended, "health") != 1 || f.destroyed.Load() != 0 {
			t.Errorf("%d destroyed while it is being checked, resources %v", f.destroyed.Load(), s.Resources)
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
			t.Errorf("%d resources are left", f.alive.Load())
		}
	})
}

// The check started by a TryAcquire once had the context of the caller, which often ends right
// after the call.
func TestFaultContextOfTryAcquireDestroysAHealthyResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := resChecked(t, &f, pools.ResourcesConfig[int64]{
			Check: func(ctx context.Context, _ int64) error { time.Sleep(time.Second); return ctx.Err() },
		})
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := p.TryAcquire(ctx); !errors.Is(err, pools.ErrFull) {
			t.Errorf("error %v", err)
		}
		cancel()
		time.Sleep(time.Second)
		synctest.Wait()
		l, err := p.TryAcquire(t.Context())
		if err != nil || l.Value() != 1 {
			t.Fatalf("the resource was destroyed: %v", err)
		}
		l.Release()
	})
}

func TestCheckContinuesWhenItsCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := resChecked(t, &f, pools.ResourcesConfig[int64]{
			Check: func(ctx context.Context, _ int64) error { time.Sleep(2 * time.Second); return ctx.Err() },
		})
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Acquire(ctx); err != context.DeadlineExceeded { //nolint:errorlint // bare
			t.Errorf("error %v", err)
		}
		start := time.Now()
		l := resAcquire(t, p)
		if took := time.Since(start); took != time.Second || l.Value() != 1 {
			t.Errorf("got %d after %v, want 1 after the rest of its check", l.Value(), took)
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
			resAcquire(t, p).Release()
		}
		if checks != 2 {
			t.Errorf("%d checks, want 2", checks)
		}
		for range 3 {
			if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
				t.Errorf("TryAcquire before the check: %v", err)
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
			t.Errorf("TryAcquire a second after the check: %v", err)
		}
	})
}

func TestResetDuringACheck(t *testing.T) {
	for name, verdict := range map[string]error{"that passes": nil, "that fails": errResTest} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f resFactory
				p := resChecked(t, &f, pools.ResourcesConfig[int64]{
					Check: func(context.Context, int64) error { time.Sleep(time.Second); return verdict },
				})
				defer p.Close()
				go func() {
					time.Sleep(time.Second / 2)
					p.Reset()
				}()
				l := resAcquire(t, p)
				if l.Value() != 2 {
					t.Errorf("got %d, which was made before the Reset", l.Value())
				}
				l.Release()
				resWantUsage(t, p.Stats(), 0, 1, 0)
				l = resAcquire(t, p)
				if l.Value() != 2 {
					t.Errorf("got %d: the one created after the Reset was destroyed", l.Value())
				}
				l.Release()
				if n := resCount(p.Stats(), instrument.Ended, "reset"); n != 1 {
					t.Errorf("%d ended by the Reset, want 1", n)
				}
			})
		})
	}
}

func TestResetDuringAConstruction(t *testing.T) {
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
		resWantUsage(t, p.Stats(), 0, 0, 0)
		if n := resCount(p.Stats(), instrument.Ended, "reset"); n != 1 {
			t.Errorf("%d ended by the Reset, want the one that had begun before", n)
		}
	})
}
