package pools

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// startWaiter starts a request for n permits, and returns once it is waiting. served is called when
// the request gets its permits.
func startWaiter(s *Semaphore, n int64, served func()) {
	before := s.Waiting()
	go func() {
		if s.Acquire(context.Background(), n) == nil {
			served()
		}
	}()
	for s.Waiting() == before {
		runtime.Gosched()
	}
}

func TestSemaphoreServesWaitersInOrder(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprint("GOMAXPROCS ", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			s := mustSemaphore(t, 4)
			_ = s.Acquire(t.Context(), 4)
			const waiters = 500
			order := make(chan int, waiters)
			for i := range waiters {
				startWaiter(s, 4, func() {
					order <- i
					s.Release(4)
				})
			}
			s.Release(4)
			for i := range waiters {
				if got := <-order; got != i {
					t.Fatalf("waiter %d was served before waiter %d", got, i)
				}
			}
		})
	}
}

// Neither TryAcquire nor Acquire overtakes a waiting request, even if enough permits are free.
func TestSemaphoreIsNotOvertaken(t *testing.T) {
	for range 1000 {
		s := mustSemaphore(t, 2)
		_ = s.Acquire(t.Context(), 1)
		served := make(chan string, 2)
		startWaiter(s, 2, func() { served <- "first" })
		if s.TryAcquire(1) {
			t.Fatal("TryAcquire(1) overtook a waiting Acquire(2)")
		}
		startWaiter(s, 1, func() { served <- "second" })
		s.Release(1)
		if got := <-served; got != "first" {
			t.Fatal("a later Acquire(1) overtook a waiting Acquire(2)")
		}
		s.Release(2)
		<-served
		s.Close()
	}
}

func TestSemaphorePendingCountsEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		_ = s.Acquire(t.Context(), 1)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 500 {
			go func() { _ = s.Acquire(ctx, 1+rand.Int64N(2)) }()
			synctest.Wait()
			if got := s.Stats().Pending.Or(-1); got != int64(i)+1 {
				t.Fatalf("%d pending, want %d", got, i+1)
			}
		}
		cancel()
		synctest.Wait()
		if got := s.Stats().Pending.Or(-1); got != 0 {
			t.Errorf("%d pending after all gave up, want 0", got)
		}
	})
}

func TestSemaphoreMaxPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewSemaphore(t.Name(), 1, SemaphoreConfig{MaxPending: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_ = s.Acquire(t.Context(), 1)
		for _, n := range []int64{1, 5} { // 5 permits are more than the size
			go func() { _ = s.Acquire(t.Context(), n) }()
		}
		synctest.Wait()
		if err := s.Acquire(t.Context(), 1); !errors.Is(err, ErrFull) {
			t.Errorf("third waiting request: error %v, want ErrFull", err)
		}
		st := s.Stats()
		if rejected, limit := st.Requests[instrument.Rejected].Or(
			-1,
		), st.PendingLimit.Or(
			-1,
		); rejected != 1 ||
			limit != 2 {
			t.Errorf("%d rejected, pending limit %d; want 1 and 2", rejected, limit)
		}
	})
	if _, err := NewSemaphore(t.Name(), 1, SemaphoreConfig{MaxPending: -1}); err == nil {
		t.Error("NewSemaphore accepted a MaxPending of -1")
	}
}

// After a resize to fewer permits than are used, the fast path must not grant permits either.
func TestSemaphoreAboveItsSizeServesNoRequest(t *testing.T) {
	for name, opts := range map[string][]instrument.Option{"on": nil, "off": {instrument.WithoutTelemetry()}} {
		t.Run(name, func(t *testing.T) {
			s := mustSemaphore(t, 8, opts...)
			_ = s.Acquire(t.Context(), 8)
			_ = s.Resize(2)
			s.Release(1)
			for n := range int64(3) {
				if got := s.TryAcquire(n); got {
					t.Errorf("7 permits used of 2: TryAcquire(%d) succeeded", n)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := s.Acquire(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("7 permits used of 2: Acquire(1) returned %v, want DeadlineExceeded", err)
			}
			s.Release(6)
			if !s.TryAcquire(1) {
				t.Error("1 permit used of 2: TryAcquire(1) failed")
			}
		})
	}
}

// The fast path of Release also checks its argument.
func TestSemaphoreReleasePanicsOnInvalidCount(t *testing.T) {
	for name, opts := range map[string][]instrument.Option{"on": nil, "off": {instrument.WithoutTelemetry()}} {
		t.Run(name, func(t *testing.T) {
			s := mustSemaphore(t, 8, opts...)
			_ = s.Acquire(t.Context(), 3)
			for _, n := range []int64{4, 8, MaxPermits, -1} {
				if panicOf(func() { s.Release(n) }) == nil {
					t.Errorf("Release(%d) with 3 permits held did not panic", n)
				}
			}
			if s.Available() != 5 {
				t.Errorf("%d permits available, want 5", s.Available())
			}
		})
	}
}

func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
