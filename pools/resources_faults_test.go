package pools_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// Constructing a resource does not count as waiting. In puddle, the "empty acquire wait" of a
// single caller with a 50 ms constructor is 53 ms.
func TestFaultConstructionCountedAsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: 50 * time.Millisecond}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		mustAcquire(t, p).Release()
		s := p.Stats()
		if wait := s.Wait[instrument.Acquired]; wait.Count() != 1 || wait.Max() != 0 {
			t.Errorf("%d waits of at most %v, want 1 of 0", wait.Count(), wait.Max())
		}
		if create := s.Create[0].Duration; create.Count() != 1 || create.Sum() != 0.05 {
			t.Errorf("%d constructions took %v s, want 1 of 0.05 s", create.Count(), create.Sum())
		}
	})
}

// The waits of requests that give up are counted, unlike in puddle.
func TestFaultFailedWaitsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := mustAcquire(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for range 2 { // the context is already done at the second call
			if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		l.Release()
		if w := p.Stats().Wait[instrument.TimedOut]; w.Count() != 2 || w.Sum() != 3 || w.Zeros() != 1 {
			t.Errorf("%d waits of %v s in total, want 2, of 3 s and 0", w.Count(), w.Sum())
		}
	})
}

// Stats never shows more resources in use than exist. A pool that sums its counters in the wrong
// order may do so in every reading.
func TestFaultInUseAboveCapacity(t *testing.T) {
	defer goleak.VerifyNone(t)
	var f resFactory
	p := f.open(t, 2, pools.ResourcesConfig[int64]{})
	var in pooltest.Invariants
	const goroutines, uses = 8, 2000
	s := in.HoldUnder(t, p.Stats, func() {
		runConcurrently(goroutines, func(int) {
			for i := range uses {
				l, err := p.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if i%4 == 0 {
					runtime.Gosched()
				}
				l.Release()
			}
		})
	})
	if n := s.Requests[instrument.Acquired].Or(0); n != goroutines*uses {
		t.Errorf("%d requests acquired, want %d", n, goroutines*uses)
	}
	p.Close()
	if f.peak.Load() > 2 {
		t.Errorf("%d resources existed at a time, want at most 2", f.peak.Load())
	}
}

func TestFaultSlotLostWhenConstructorFails(t *testing.T) {
	failures := map[string]func(ctx context.Context) (int, error){
		"error":    func(context.Context) (int, error) { return 0, errInjected },
		"panic":    func(context.Context) (int, error) { panic("injected panic") },
		"exit":     func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"timeout":  func(context.Context) (int, error) { return 0, context.DeadlineExceeded },
		"canceled": func(context.Context) (int, error) { return 0, context.Canceled },
	}
	endings := map[string]instrument.Ending{"panic": instrument.Panicked, "exit": instrument.Exited}
	for reason, failure := range failures {
		t.Run(reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				construct := failure
				p, err := pools.NewResources(
					t.Name(),
					1,
					func(ctx context.Context) (int, error) { return construct(ctx) },
					pools.ResourcesConfig[int]{},
				)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				for range 3 {
					_, err = p.Acquire(t.Context())
					if err == nil || !strings.Contains(err.Error(), t.Name()) {
						t.Fatalf("error %v, want one with the pool's name", err)
					}
				}
				if reason == "error" && !errors.Is(err, errInjected) ||
					reason == "panic" && !strings.Contains(err.Error(), "injected panic\n") {
					t.Errorf("error %v does not contain the constructor's error or panic", err)
				}
				s := p.Stats()
				wantUsage(t, s, 0, 0, 0)
				if eventCount(s, instrument.CreateFailed, reason) != 3 ||
					s.Completed[max(endings[reason], instrument.Failed)].Or(0) != 3 {
					t.Errorf(
						"lifecycle events %v, completed %v; want 3 failed constructions and 3 failed uses",
						s.Resources,
						s.Completed,
					)
				}
				if err := new(pooltest.Invariants).Check(s); err != nil {
					t.Error(err)
				}
				construct = func(context.Context) (int, error) { return 1, nil }
				l, err := p.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				l.Release()
			})
		})
	}
}

func TestFaultSlotLostWhenConstructorIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: time.Minute}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("error %v after %v, want DeadlineExceeded after 1 s", err, time.Since(start))
		}
		wantUsage(t, p.Stats(), 0, 0, 1)
		l := mustAcquire(t, p) // the resource that was constructed for the first caller
		if took := time.Since(start); took != time.Minute || l.Value() != 1 {
			t.Errorf("got resource %d after %v, want 1 after 1 min", l.Value(), took)
		}
		l.Destroy()
		synctest.Wait()
		if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
			t.Errorf("TryAcquire: error %v, want ErrFull", err)
		}
		synctest.Wait()
		p.Close() // while the second resource is being constructed
		if f.made.Load() != 2 || f.alive.Load() != 0 {
			t.Errorf("%d resources made and %d alive, want 2 and 0", f.made.Load(), f.alive.Load())
		}
		if n := eventCount(p.Stats(), instrument.Ended, "pool_closed"); n != 1 {
			t.Errorf("%d resources ended by Close, want the one under construction", n)
		}
	})
}
