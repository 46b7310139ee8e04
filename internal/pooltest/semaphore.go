package pooltest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
)

// Permits is the interface that the semaphores under test share with x/sync's semaphore.
type Permits interface {
	Acquire(ctx context.Context, n int64) error
	TryAcquire(n int64) bool
	Release(n int64)
}

// BehavesAsXSync tests that the semaphores returned by open behave like x/sync's semaphore, which
// must pass the same tests. open must arrange for the semaphores to be closed at the end of the
// test.
func BehavesAsXSync(t *testing.T, open func(t testing.TB, size int64) Permits) {
	for _, b := range semaphoreBehaviors {
		t.Run(b.name, func(t *testing.T) {
			t.Run("x/sync", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { b.run(t, semaphore.NewWeighted(b.size)) })
			})
			t.Run("ours", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { b.run(t, open(t, b.size)) })
			})
		})
	}
}

var background = context.Background()

// semaphoreBehaviors covers what x/sync's own tests check, and what its documentation guarantees.
var semaphoreBehaviors = []struct {
	name string
	size int64
	run  func(t *testing.T, p Permits)
}{
	{"TryAcquire takes free permits", 2, func(t *testing.T, p Permits) {
		_ = p.Acquire(background, 1)
		got := []bool{p.TryAcquire(1), p.TryAcquire(1)}
		p.Release(2)
		got = append(got, p.TryAcquire(1))
		_ = p.Acquire(background, 1)
		got = append(got, p.TryAcquire(1))
		for i, want := range []bool{true, false, true, false} {
			if got[i] != want {
				t.Errorf("TryAcquire %d: got %v, want %v", i, got[i], want)
			}
		}
	}},
	{"Acquire returns when its context is done", 1, func(t *testing.T, p Permits) {
		_ = p.Acquire(background, 1)
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		start := time.Now()
		if err := p.Acquire(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want %v after 1s", err, time.Since(start), context.DeadlineExceeded)
		}
		p.Release(1)
		if !p.TryAcquire(1) {
			t.Error("the permit was lost")
		}
	}},
	{"0 of 0 permits can be acquired", 0, func(t *testing.T, p Permits) {
		if !p.TryAcquire(0) || p.Acquire(background, 0) != nil {
			t.Error("acquiring 0 of 0 permits failed")
		}
		p.Release(0)
	}},
	{"Acquire fails if its context is done, even with free permits", 2, func(t *testing.T, p Permits) {
		ctx, cancel := context.WithCancel(background)
		cancel()
		if err := p.Acquire(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if !p.TryAcquire(2) {
			t.Error("the permit was lost")
		}
	}},
	{"canceled before permits are released: golang/go#63615", 2, func(t *testing.T, p Permits) {
		ctx, cancel := context.WithCancel(background)
		_ = p.Acquire(background, 1)
		go func() {
			synctest.Wait()
			cancel()
			p.Release(1)
		}()
		if err := p.Acquire(ctx, 2); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		synctest.Wait()
		if !p.TryAcquire(2) {
			t.Error("a permit was lost")
		}
	}},
	{"canceled before permits are released, and before it has queued up", 1, func(t *testing.T, p Permits) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // makes the other goroutine run when this one yields
		ctx, cancel := context.WithCancel(background)
		_ = p.Acquire(background, 1)
		go func() {
			cancel()
			p.Release(1)
		}()
		if err := p.Acquire(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}},
	{"permits granted just before the context is done are not lost", 1, func(t *testing.T, p Permits) {
		// the waiter does not run before it is canceled
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		ctx, cancel := context.WithCancel(background)
		_ = p.Acquire(background, 1)
		got := make(chan error)
		go func() { got <- p.Acquire(ctx, 1) }()
		synctest.Wait()
		p.Release(1)
		cancel()
		if err := <-got; err != nil && !p.TryAcquire(1) {
			t.Errorf("the permit was lost: Acquire returned %v", err)
		}
	}},
	{"a request for too many permits does not block others", 2, func(t *testing.T, p Permits) {
		ctx, cancel := context.WithCancel(background)
		tooMuch := make(chan error)
		go func() { tooMuch <- p.Acquire(ctx, 3) }()
		synctest.Wait()
		if !p.TryAcquire(2) {
			t.Error("TryAcquire failed while a request for too many permits was waiting")
		}
		cancel()
		if err := <-tooMuch; !errors.Is(err, context.Canceled) {
			t.Errorf("request for too many permits: got %v, want %v", err, context.Canceled)
		}
	}},
	{"a large request is not overtaken", 3, func(t *testing.T, p Permits) {
		_ = p.Acquire(background, 1)
		served := make(chan int64, 3)
		for _, n := range []int64{3, 1, 2} {
			go func() {
				_ = p.Acquire(background, n)
				served <- n
				p.Release(n)
			}()
			synctest.Wait()
		}
		if p.TryAcquire(1) {
			t.Error("TryAcquire overtook a waiting request")
		}
		p.Release(1)
		if first := <-served; first != 3 {
			t.Errorf("the request for %d permits was served first, want the one for 3", first)
		}
	}},
	{"a canceled request unblocks those behind it: TestAllocCancelDoesntStarve", 10, func(t *testing.T, p Permits) {
		_ = p.Acquire(background, 1)
		ctx, cancel := context.WithCancel(background)
		go func() { _ = p.Acquire(ctx, 10) }()
		synctest.Wait()
		go func() {
			synctest.Wait()
			cancel()
		}()
		if err := p.Acquire(background, 1); err != nil {
			t.Error(err)
		}
	}},
	{"misuse panics", 1, func(t *testing.T, p Permits) {
		for want, misuse := range map[string]func(){
			"semaphore: n < 0":                   func() { _ = p.Acquire(background, -1) },
			"semaphore: n < 0 ":                  func() { p.TryAcquire(-1) },
			"semaphore: n < 0  ":                 func() { p.Release(-1) },
			"semaphore: released more than held": func() { p.Release(1) },
		} {
			got := PanicOf(misuse)
			if !strings.HasPrefix(got, strings.TrimSpace(want)) {
				t.Errorf("got panic %q, want prefix %q", got, want)
			}
		}
	}},
}

// PanicOf returns the string with which f panics, or "none" if f does not panic. If f panics with
// another type, the result is empty.
func PanicOf(f func()) (message string) {
	defer func() {
		if v := recover(); v != nil {
			message, _ = v.(string)
		}
	}()
	f()
	return "none"
}
