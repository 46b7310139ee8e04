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
	{"TryAcquire takes what is free", 2, func(t *testing.T, p Permits) {
		_ = p.Acquire(background, 1)
		got := []bool{p.TryAcquire(1), p.TryAcquire(1)}
		p.Release(2)
		got = append(got, p.TryAcquire(1))
		_ = p.Acquire(background, 1)
		got = append(got, p.TryAcquire(1))
		for i, want := range []bool{true, false, true, false} {
			if got[i] != want {
				t.Errorf("try %d: %v, want %v", i, got[i], want)
			}
		}
	}},
	{"Acquire ends with its context", 1, func(t *testing.T, p Permits) {
		_ = p.Acquire(background, 1)
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		start := time.Now()
		if err := p.Acquire(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		p.Release(1)
		if !p.TryAcquire(1) {
			t.Error("the permit was lost")
		}
	}},
	{"0 permits of 0", 0, func(t *testing.T, p Permits) {
		if !p.TryAcquire(0) || p.Acquire(background, 0) != nil {
			t.Error("acquiring 0 of 0 permits failed")
		}
		p.Release(0)
	}},
	{"a context that is done wins over free permits", 2, func(t *testing.T, p Permits) {
		ctx, cancel := context.WithCancel(background)
		cancel()
		if err := p.Acquire(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if !p.TryAcquire(2) {
			t.Error("the permit was lost")
		}
	}},
	{"canceled before permits come: golang/go#63615", 2, func(t *testing.T, p Permits) {
		ctx, cancel := context.WithCancel(background)
		_ = p.Acquire(background, 1)
		go func() {
			synctest.Wait()
			cancel()
			p.Release(1)
		}()
		if err := p.Acquire(ctx, 2); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if !p.TryAcquire(2) {
			t.Error("a permit was lost")
		}
	}},
	{"canceled before permits come, while it has not queued up yet", 1, func(t *testing.T, p Permits) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // makes the other goroutine run when this one yields
		ctx, cancel := context.WithCancel(background)
		_ = p.Acquire(background, 1)
		go func() {
			cancel()
			p.Release(1)
		}()
		if err := p.Acquire(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}},
	{"permits that come before the context is done go back when it is", 1, func(t *testing.T, p Permits) {
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
	{"a request for too many does not hold back others", 2, func(t *testing.T, p Permits) {
		ctx, cancel := context.WithCancel(background)
		tooMuch := make(chan error)
		go func() { tooMuch <- p.Acquire(ctx, 3) }()
		synctest.Wait()
		if !p.TryAcquire(2) {
			t.Error("held back")
		}
		cancel()
		if err := <-tooMuch; !errors.Is(err, context.Canceled) {
			t.Errorf("too much: %v", err)
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
			t.Error("overtaken by a TryAcquire")
		}
		p.Release(1)
		if first := <-served; first != 3 {
			t.Errorf("request %d was served first", first)
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
				t.Errorf("panic %q, want %q", got, want)
			}
		}
	}},
}

// PanicOf returns the message with which f panics, or "none" if f does not panic.
func PanicOf(f func()) (message string) {
	defer func() {
		if v := recover(); v != nil {
			message, _ = v.(string)
		}
	}()
	f()
	return "none"
}
