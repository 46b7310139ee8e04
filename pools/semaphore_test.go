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

// The semaphore passes x/sync's own tests and has the properties that its documentation guarantees.
func TestSemaphoreBehavesAsXSync(t *testing.T) {
	pooltest.BehavesAsXSync(t, func(t testing.TB, size int64) pooltest.Permits { return mustSemaphore(t, size) })
}

func TestSemaphoreMisuseIsNamedAndChangesNothing(t *testing.T) {
	s := mustSemaphore(t, 1)
	if got := pooltest.PanicOf(func() { s.Release(1) }); !strings.Contains(got, t.Name()) {
		t.Errorf("panic %q does not name the semaphore", got)
	}
	if !s.TryAcquire(1) || s.TryAcquire(1) {
		t.Error("misuse changed the semaphore") // x/sync's semaphore would have gained a permit
	}
}

func TestNewSemaphoreRefuses(t *testing.T) {
	there := mustSemaphore(t, 1)
	for _, n := range []int64{-1, MaxPermits + 1} {
		if s, err := NewSemaphore("refused", n, SemaphoreConfig{}); err == nil || s != nil {
			t.Errorf("%d permits: %v, %v", n, s, err)
		}
		if err := there.Resize(n); err == nil {
			t.Errorf("resized to %d permits", n)
		}
	}
	for _, name := range []string{"", t.Name()} {
		if s, err := NewSemaphore(name, 1, SemaphoreConfig{}); err == nil || s != nil {
			t.Errorf("name %q: %v, %v", name, s, err)
		}
	}
}

func TestSemaphoreOfTheLargestSize(t *testing.T) {
	s := mustSemaphore(t, MaxPermits)
	if !s.TryAcquire(MaxPermits) || s.TryAcquire(1) || s.TryAcquire(1<<62) {
		t.Error("the largest size is not available")
	}
	if err := s.Resize(0); err != nil {
		t.Fatal(err)
	}
	s.Release(MaxPermits)
	if s.TryAcquire(1) {
		t.Error("got a permit from an empty semaphore")
	}
}

// A request for many permits is granted although other goroutines keep acquiring single ones.
// marusama/semaphore did not grant it within 3 s; see also golang/go#29721.
func TestSemaphoreServesALargeRequestAmongChurners(t *testing.T) {
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
		// 2 is served, 5 and 4 are too large for now, 1 waits.
		expect := func(what string, used int64, want ...int64) {
			t.Helper()
			synctest.Wait()
			if got := s.Stats().Usage[instrument.Used].Or(
				-1,
			); got != used || len(order) != len(want) ||
				order[len(order)-1] != want[len(want)-1] {
				t.Errorf("%s: %d used, served %v; want %d, %v", what, got, order, used, want)
			}
		}
		expect("at first", 2, 2)
		_ = s.Resize(5)
		expect("5 came before 1", 2, 2)
		s.Release(2)
		expect("2 released", 5, 2, 5)
		_ = s.Resize(3)
		s.Release(3)
		expect("3 released of 5 used of 3", 3, 2, 5, 1)
		_ = s.Resize(7)
		expect("room for all", 7, 2, 5, 1, 4)
		_ = s.Resize(1)
		expect("shrinking takes nothing away", 7, 2, 5, 1, 4)
		s.Release(6)
		if s.TryAcquire(1) {
			t.Error("a permit above the new size")
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
				t.Errorf("waiter: %v", err)
			}
		}
		s.Release(1)
		if err := s.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) {
			t.Errorf("Acquire: %v", err)
		}
		if s.TryAcquire(0) || s.TryAcquire(1) || s.TryAcquire(2) {
			t.Error("TryAcquire after Close")
		}
		st := s.Stats()
		if n, wait := st.Requests[instrument.WasClosed].Or(
			0,
		), st.Wait[instrument.WasClosed]; n != 7 || wait.Sum() != 3 ||
			wait.Zeros() != 4 {
			t.Errorf("%d closed, which waited %v s, %d not at all", n, wait.Sum(), wait.Zeros())
		}
	})
}

func TestSemaphoreClosedWithoutTelemetry(t *testing.T) {
	s := mustSemaphore(t, 1, instrument.WithoutTelemetry())
	s.Close()
	if err := s.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) || s.TryAcquire(1) {
		t.Errorf("Acquire: %v", err)
	}
}

// When 10,000 goroutines give up at random, no permit is lost and each request is counted once.
func TestSemaphoreCancelStorm(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := mustSemaphore(t, 8)
	var wg sync.WaitGroup
	var got, lost, held atomic.Int64
	for range 10_000 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(
				context.Background(),
				time.Duration(rand.Int64N(int64(50*time.Millisecond))),
			)
			defer cancel()
			n := 1 + rand.Int64N(8)
			if s.Acquire(ctx, n) != nil {
				lost.Add(1)
				return
			}
			got.Add(1)
			if held.Add(n) > 8 {
				t.Error("more held than there are")
			}
			runtime.Gosched()
			held.Add(-n)
			s.Release(n)
		})
	}
	in := pooltest.Invariants{Weighted: true}
	st := in.HoldUnder(t, s.Stats, wg.Wait)
	// A request whose context ended between the hand-over and its return counts as acquired, and
	// has returned its permits.
	acquired, timedOut := st.Requests[instrument.Acquired].Or(-1), st.Requests[instrument.TimedOut].Or(-1)
	if acquired < got.Load() || acquired+timedOut != got.Load()+lost.Load() {
		t.Errorf("%d acquired and %d timed out, want %d and %d", acquired, timedOut, got.Load(), lost.Load())
	}
	if !s.TryAcquire(8) {
		t.Errorf("permits are lost: %+v", st)
	}
}

func TestSemaphoreAllocatesNothing(t *testing.T) {
	s := mustSemaphore(t, 1)
	try, done := make(chan struct{}), make(chan struct{})
	go func() {
		for range try {
			_ = s.Acquire(context.Background(), 1)
			s.Release(1)
			done <- struct{}{}
		}
	}()
	const runs = 1000
	allocs := testing.AllocsPerRun(runs, func() {
		_ = s.Acquire(context.Background(), 1)
		try <- struct{}{}
		for range 16 { // on one CPU, lets the other goroutine wait
			runtime.Gosched()
		}
		s.Release(1)
		<-done
	})
	close(try)
	if waits := s.Stats().Wait[instrument.Acquired]; allocs >= 1 || waits.Count()-waits.Zeros() < runs {
		t.Errorf("%v allocations in each of %d waits", allocs, waits.Count()-waits.Zeros())
	}
}
