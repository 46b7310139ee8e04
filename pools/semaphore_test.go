package pools

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

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// Semaphore passes x/sync's own tests, and has the properties that the documentation of x/sync
// guarantees.
func TestSemaphoreBehavesAsXSync(t *testing.T) {
	pooltest.BehavesAsXSync(t, func(t testing.TB, size int64) pooltest.Permits { return mustSemaphore(t, size) })
}

func TestSemaphoreMisusePanicsAndChangesNothing(t *testing.T) {
	s := mustSemaphore(t, 1)
	if got := pooltest.PanicOf(func() { s.Release(1) }); !strings.Contains(got, t.Name()) {
		t.Errorf("panic %q, want one with the semaphore's name", got)
	}
	if !s.TryAcquire(1) || s.TryAcquire(1) {
		t.Error(
			"a Release that panicked changed the number of free permits",
		) // x/sync's semaphore would have gained a permit
	}
}

func TestSemaphoreRejectsInvalidSizesAndNames(t *testing.T) {
	existing := mustSemaphore(t, 1)
	for _, n := range []int64{-1, MaxPermits + 1} {
		if s, err := NewSemaphore("refused", n, SemaphoreConfig{}); err == nil || s != nil {
			t.Errorf("NewSemaphore with %d permits: %v, error %v; want only an error", n, s, err)
		}
		if err := existing.Resize(n); err == nil {
			t.Errorf("Resize(%d) succeeded, want an error", n)
		}
	}
	for _, name := range []string{"", t.Name()} {
		if s, err := NewSemaphore(name, 1, SemaphoreConfig{}); err == nil || s != nil {
			t.Errorf("NewSemaphore with name %q: %v, error %v; want only an error", name, s, err)
		}
	}
}

func TestSemaphoreOfMaxPermits(t *testing.T) {
	s := mustSemaphore(t, MaxPermits)
	if !s.TryAcquire(MaxPermits) || s.TryAcquire(1) || s.TryAcquire(1<<62) {
		t.Error("TryAcquire(MaxPermits) must succeed, and leave no free permit")
	}
	if err := s.Resize(0); err != nil {
		t.Fatal(err)
	}
	s.Release(MaxPermits)
	if s.TryAcquire(1) {
		t.Error("TryAcquire(1) succeeded in a semaphore of size 0")
	}
}

// A request for many permits is granted although other goroutines keep acquiring single permits.
// marusama/semaphore did not grant it within 3 s; see also golang/go#29721.
func TestSemaphoreServesLargeRequestUnderChurn(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := mustSemaphore(t, 8)
	var stop atomic.Bool
	var churners sync.WaitGroup
	for range 16 {
		churners.Go(func() {
			for !stop.Load() {
				_ = s.Acquire(context.Background(), 1)
				runtime.Gosched()
				s.Release(1)
			}
		})
	}
	for range 100 {
		if err := s.Acquire(context.Background(), 8); err != nil {
			t.Error(err)
		}
		s.Release(8)
	}
	stop.Store(true)
	churners.Wait()
}

func TestSemaphoreResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 2)
		var order []int64
		for _, n := range []int64{2, 5, 1, 4} {
			go func() {
				if s.Acquire(context.Background(), n) == nil {
					order = append(order, n)
				}
			}()
			synctest.Wait()
		}
		// The request for 2 is served, 5 and 4 exceed the size for now, and 1 waits.
		expect := func(when string, used int64, want ...int64) {
			t.Helper()
			synctest.Wait()
			if got := s.Stats().Usage[instrument.Used].Or(
				-1,
			); got != used || len(order) != len(want) ||
				order[len(order)-1] != want[len(want)-1] {
				t.Errorf("%s: %d used, served %v; want %d, %v", when, got, order, used, want)
			}
		}
		expect("at first", 2, 2)
		_ = s.Resize(5)
		expect("after resize to 5: 5 comes before 1", 2, 2)
		s.Release(2)
		expect("after release of 2", 5, 2, 5)
		_ = s.Resize(3)
		s.Release(3)
		expect("after resize to 3 and release of 3 of 5", 3, 2, 5, 1)
		_ = s.Resize(7)
		expect("after resize to 7: room for all", 7, 2, 5, 1, 4)
		_ = s.Resize(1)
		expect("after resize to 1: no permit is revoked", 7, 2, 5, 1, 4)
		s.Release(6)
		if s.TryAcquire(1) {
			t.Error("TryAcquire(1) with 1 permit used of 1 succeeded")
		}
	})
}

func TestSemaphoreClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		_ = s.Acquire(t.Context(), 1)
		ended := make(chan error, 3)
		for _, n := range []int64{1, 2, 1} {
			go func() { ended <- s.Acquire(t.Context(), n) }()
		}
		synctest.Wait()
		time.Sleep(time.Second)
		s.Close()
		s.Close()
		for range 3 {
			if err := <-ended; !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), t.Name()) {
				t.Errorf("waiting request: error %v, want ErrClosed with the semaphore's name", err)
			}
		}
		s.Release(1)
		if err := s.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) {
			t.Errorf("Acquire after Close: error %v, want ErrClosed", err)
		}
		if s.TryAcquire(0) || s.TryAcquire(1) || s.TryAcquire(2) {
			t.Error("TryAcquire after Close succeeded")
		}
		st := s.Stats()
		if n, wait := st.Requests[instrument.WasClosed].Or(
			0,
		), st.Wait[instrument.WasClosed]; n != 7 || wait.Sum() != 3 ||
			wait.Zeros() != 4 {
			t.Errorf(
				"%d requests closed after waits of %v s in total, %d without waiting; want 7, 3 s and 4",
				n,
				wait.Sum(),
				wait.Zeros(),
			)
		}
	})
}

func TestSemaphoreClosedWithoutTelemetry(t *testing.T) {
	s := mustSemaphore(t, 1, instrument.WithoutTelemetry())
	s.Close()
	if err := s.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) || s.TryAcquire(1) {
		t.Errorf("after Close: Acquire error %v, want ErrClosed, and TryAcquire must fail", err)
	}
}

// When 10,000 goroutines give up after random times, no permit is lost and each request is counted
// once.
func TestSemaphoreCancelStorm(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := mustSemaphore(t, 8)
	var wg sync.WaitGroup
	var acquired, gaveUp, held atomic.Int64
	for range 10_000 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(
				context.Background(),
				time.Duration(rand.Int64N(int64(50*time.Millisecond))),
			)
			defer cancel()
			n := 1 + rand.Int64N(8)
			if s.Acquire(ctx, n) != nil {
				gaveUp.Add(1)
				return
			}
			acquired.Add(1)
			if held.Add(n) > 8 {
				t.Error("more than 8 permits are held")
			}
			runtime.Gosched()
			held.Add(-n)
			s.Release(n)
		})
	}
	in := pooltest.Invariants{Weighted: true}
	st := in.HoldUnder(t, s.Stats, wg.Wait)
	// A request whose context ended after the permits were handed over, but before Acquire
	// returned, counts as acquired, and has released the permits.
	countedAcquired, countedTimedOut := st.Requests[instrument.Acquired].Or(-1), st.Requests[instrument.TimedOut].Or(-1)
	if countedAcquired < acquired.Load() || countedAcquired+countedTimedOut != acquired.Load()+gaveUp.Load() {
		t.Errorf("%d counted as acquired and %d as timed out, want %d and %d, except that requests may have timed out "+
			"after acquiring", countedAcquired, countedTimedOut, acquired.Load(), gaveUp.Load())
	}
	if !s.TryAcquire(8) {
		t.Errorf("TryAcquire(8) failed at the end, so permits were lost: %+v", st)
	}
}

func TestSemaphoreAllocatesNothing(t *testing.T) {
	s := mustSemaphore(t, 1)
	start, done := make(chan struct{}), make(chan struct{})
	go func() {
		for range start {
			_ = s.Acquire(context.Background(), 1)
			s.Release(1)
			done <- struct{}{}
		}
	}()
	const runs = 1000
	allocs := testing.AllocsPerRun(runs, func() {
		_ = s.Acquire(context.Background(), 1)
		start <- struct{}{}
		for range 16 { // with one CPU, so that the other goroutine starts to wait
			runtime.Gosched()
		}
		s.Release(1)
		<-done
	})
	close(start)
	if waits := s.Stats().Wait[instrument.Acquired]; allocs >= 1 || waits.Count()-waits.Zeros() < runs {
		t.Errorf(
			"%v allocations per run and %d waits, want 0 and at least %d",
			allocs,
			waits.Count()-waits.Zeros(),
			runs,
		)
	}
}
