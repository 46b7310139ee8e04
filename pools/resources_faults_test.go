package pools_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// Puddle's "empty acquire wait" of a lone caller with a 50 ms constructor is 53 ms.
func TestFaultConstructionCountedAsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: 50 * time.Millisecond}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		resAcquire(t, p).Release()
		s := p.Stats()
		if wait := s.Wait[instrument.Acquired]; wait.Count() != 1 || wait.Max() != 0 {
			t.Errorf("%d waits up to %v, want 1 of 0", wait.Count(), wait.Max())
		}
		if create := s.Create[0].Duration; create.Count() != 1 || create.Sum() != 0.05 {
			t.Errorf("%d constructions in %v s, want 1 in 50 ms", create.Count(), create.Sum())
		}
	})
}

// Puddle does not count the waits of those who give up.
func TestFaultFailedWaitsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := resAcquire(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for range 2 { // the second finds the context done
			if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		l.Release()
		if w := p.Stats().Wait[instrument.TimedOut]; w.Count() != 2 || w.Sum() != 3 || w.Zeros() != 1 {
			t.Errorf("%d waits of %v s, want 3 s and 0", w.Count(), w.Sum())
		}
	})
}

// Counters that are summed in the wrong order show more in use than there are, in up to all readings.
func TestFaultInUseAboveCapacity(t *testing.T) {
	defer goleak.VerifyNone(t)
	var f resFactory
	p := f.open(t, 2, pools.ResourcesConfig[int64]{})
	var in pooltest.Invariants
	const goroutines, uses = 8, 2000
	s := in.HoldUnder(t, p.Stats, func() {
		resCrowd(goroutines, func(int) {
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
		t.Errorf("%d requests, want %d", n, goroutines*uses)
	}
	p.Close()
	if f.peak.Load() > 2 {
		t.Errorf("%d resources at once, of 2", f.peak.Load())
	}
}

func resCrowd(goroutines int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func TestFaultSlotLostWhenAConstructorFails(t *testing.T) {
	failures := map[string]func(ctx context.Context) (int, error){
		"error":    func(context.Context) (int, error) { return 0, errResTest },
		"panic":    func(context.Context) (int, error) { panic("oh") },
		"exit":     func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"timeout":  func(context.Context) (int, error) { return 0, context.DeadlineExceeded },
		"canceled": func(context.Context) (int, error) { return 0, context.Canceled },
	}
	endings := map[string]instrument.Ending{"panic": instrument.Panicked, "exit": instrument.Exited}
	for reason, failure := range failures {
		t.Run(reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				construct := failure
				p, err := pools.NewResources(t.Name(), 1, func(ctx context.Context) (int, error) { return construct(ctx) },
					pools.ResourcesConfig[int]{})
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				for range 3 {
					_, err = p.Acquire(t.Context())
					if err == nil || !strings.Contains(err.Error(), t.Name()) {
						t.Fatalf("error %v, want one with the name of the pool", err)
					}
				}
				if reason == "error" && !errors.Is(err, errResTest) || reason == "panic" && !strings.Contains(err.Error(), "oh\n") {
					t.Errorf("error %v does not say why", err)
				}
				s := p.Stats()
				resWantUsage(t, s, 0, 0, 0)
				if resCount(s, instrument.CreateFailed, reason) != 3 || s.Completed[max(endings[reason], instrument.Failed)].Or(0) != 3 {
					t.Errorf("resources %v, completed %v, want 3 of each", s.Resources, s.Completed)
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

func TestFaultSlotLostWhenAConstructorIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: time.Minute}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("error %v after %v, want that of the context at once", err, time.Since(start))
		}
		resWantUsage(t, p.Stats(), 0, 0, 1)
		l := resAcquire(t, p) // the resource that was begun for the other
		if took := time.Since(start); took != time.Minute || l.Value() != 1 {
			t.Errorf("got %d after %v", l.Value(), took)
		}
		l.Destroy()
		synctest.Wait()
		if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) {
			t.Error(err)
		}
		p.Close() // while the second one is being made
		if f.made.Load() != 2 || f.alive.Load() != 0 {
			t.Errorf("%d made, %d not destroyed", f.made.Load(), f.alive.Load())
		}
		if n := resCount(p.Stats(), instrument.Ended, "pool_closed"); n != 1 {
			t.Errorf("%d ended with the pool, want the late one", n)
		}
	})
}

func TestConstructorsContextHasTheCallersValuesAndThePoolsLife(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		ended := make(chan error, 1)
		p, err := pools.NewResources(t.Name(), 1, func(ctx context.Context) (int, error) {
			if ctx.Value(key{}) != "value" {
				t.Error("the value is missing")
			}
			<-ctx.Done()
			ended <- ctx.Err()
			return 0, ctx.Err()
		}, pools.ResourcesConfig[int]{})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		go func() { _, _ = p.TryAcquire(context.WithValue(t.Context(), key{}, "value")) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("ended before the pool")
		default:
		}
		go func() {
			if _, err := p.Acquire(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		}()
		synctest.Wait()
		p.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestAcquireWhoseConstructionTheCloseEndsIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := pools.NewResources(t.Name(), 1, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, pools.ResourcesConfig[int]{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			p.Close()
		}()
		if _, err := p.Acquire(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("error %v", err)
		}
		if s := p.Stats(); s.Requests[instrument.WasClosed].Or(0) != 1 || s.Requests[instrument.Acquired].Or(0) != 0 {
			t.Errorf("requests %v", s.Requests)
		}
	})
}

func TestDestructorThatPanicsOrExitsLosesNoSlot(t *testing.T) {
	var reported []error
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reported = append(reported, err) }))
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p, err := pools.NewResources(t.Name(), 1, func(context.Context) (int, error) { n++; return n, nil },
			pools.ResourcesConfig[int]{Destroy: func(n int) {
				if n == 1 {
					panic("destructor")
				}
				runtime.Goexit()
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for i := range 3 {
			l, err := p.Acquire(t.Context())
			if err != nil || l.Value() != i+1 {
				t.Fatalf("use %d: %v", i, err)
			}
			l.Destroy()
		}
	})
	if len(reported) != 1 || !strings.Contains(reported[0].Error(), "destructor") || !strings.Contains(reported[0].Error(), t.Name()) {
		t.Errorf("reported %v, want the panic and the name of the pool", reported)
	}
}

// While a destructor runs its resource still exists, and the limit is of what exists.
func TestDestructionCountsAgainstTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := pools.NewResources(t.Name(), 1, func(context.Context) (int, error) { return 0, nil },
			pools.ResourcesConfig[int]{Destroy: func(int) { time.Sleep(time.Second) }})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		l, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Destroy()
		start := time.Now()
		if l, err = p.Acquire(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("acquired after %v, %v; want 1 s", time.Since(start), err)
		}
		if wait := p.Stats().Wait[instrument.Acquired]; wait.Sum() != 1 {
			t.Errorf("waited %v s, want 1", wait.Sum())
		}
		l.Release()
	})
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
	if got := s.Requests[instrument.Acquired].Or(0); got != acquired.Load() || got+s.Requests[instrument.Canceled].Or(0) != 10_000 {
		t.Errorf("requests %v, want %d acquired and %d canceled", s.Requests, acquired.Load(), gaveUp.Load())
	}
	for range 4 { // all four slots are still there
		resAcquire(t, p).Destroy()
	}
	p.Close()
	if f.alive.Load() != 0 || f.peak.Load() > 4 {
		t.Errorf("%d resources alive, %d at most", f.alive.Load(), f.peak.Load())
	}
}

// resEnd ends a lease in one of the ways, other than Hijack.
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

// Everything at once, for the race detector and the invariants.
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
		_ = p.Resize(1 + rand.IntN(5)) // it is never closed here
	case n == 2:
		_ = p.CreateResource(ctx) // it may well be full
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
