package wrap_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func mustSemaphore(t testing.TB, n int64, opts ...instrument.Option) *wrap.Semaphore {
	t.Helper()
	s, err := wrap.NewSemaphore(t.Name(), n, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestSemaphoreBehavesAsXSync(t *testing.T) {
	pooltest.BehavesAsXSync(t, func(t testing.TB, size int64) pooltest.Permits { return mustSemaphore(t, size) })
}

func TestSemaphoreOfNegativeSizePanics(t *testing.T) {
	want := pooltest.PanicOf(func() { semaphore.NewWeighted(-1) })
	if got := pooltest.PanicOf(func() { _, _ = wrap.NewSemaphore(t.Name(), -1) }); got != want {
		t.Errorf("got panic %q, want %q", got, want)
	}
	mustSemaphore(t, 0) // the name is available again
}

// runRandom performs random operations. After each operation, it waits until all goroutines are
// blocked, and appends to the trace which requests have ended, and with what error.
func runRandom(t *testing.T, p pooltest.Permits, r *rand.Rand) (trace []string) {
	type request struct {
		n      int64
		cancel context.CancelFunc
		err    chan error
	}
	var requests []request
	var held int64
	for range 80 {
		n := r.Int64N(7)
		switch r.IntN(8) {
		case 0, 1, 2:
			ctx, cancel := context.WithCancel(t.Context())
			q := request{n, cancel, make(chan error, 1)}
			requests = append(requests, q)
			go func() { q.err <- p.Acquire(ctx, n) }()
		case 3, 4:
			n = min(n, held)
			p.Release(n)
			held -= n
		case 5, 6:
			if p.TryAcquire(n) {
				held += n
				trace = append(trace, "TryAcquire succeeded")
			}
		default:
			if len(requests) > 0 {
				requests[r.IntN(len(requests))].cancel()
			}
		}
		synctest.Wait()
		for i, q := range requests {
			select {
			case err := <-q.err:
				trace = append(trace, fmt.Sprint(i, err))
				if err == nil {
					held += q.n
				}
			default:
			}
		}
		trace = append(trace, "-")
	}
	for _, q := range requests {
		q.cancel()
	}
	synctest.Wait()
	return trace
}

// The wrapped semaphore behaves exactly like an unwrapped one.
func TestSemaphoreBehavesLikeUnwrapped(t *testing.T) {
	for range 200 {
		seed := rand.Uint64()
		var traces [2][]string
		for i := range traces {
			synctest.Test(t, func(t *testing.T) {
				var p pooltest.Permits = semaphore.NewWeighted(5)
				if i == 1 {
					p = mustSemaphore(t, 5)
				}
				traces[i] = runRandom(t, p, rand.New(rand.NewPCG(seed, 1)))
			})
		}
		if !slices.Equal(traces[0], traces[1]) {
			t.Fatalf("seed %d: unwrapped\n%v\nwrapped\n%v", seed, traces[0], traces[1])
		}
	}
}

func TestSemaphoreTelemetrySettings(t *testing.T) {
	pooltest.Settings(t, "semaphore", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		s, err := wrap.NewSemaphore(name, 2, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		return pooltest.Pool{Close: s.Close, Use: func() {
			_ = s.Acquire(t.Context(), 1)
			s.Release(1)
		}}, nil
	})
}

func TestSemaphoreInvariantsUnderLoad(t *testing.T) {
	s := mustSemaphore(t, 4)
	const goroutines, each = 16, 3000
	var in pooltest.Invariants
	st := in.HoldUnder(t, s.Stats, func() {
		var wg sync.WaitGroup
		for i := range goroutines {
			wg.Go(func() {
				for range each {
					_ = s.Acquire(context.Background(), 1)
					if i%2 == 0 {
						runtime.Gosched()
					}
					s.Release(1)
					if s.TryAcquire(1) {
						s.Release(1)
					}
				}
			})
		}
		wg.Wait()
	})
	if n := st.Requests[instrument.Acquired].Or(0) + st.Requests[instrument.Rejected].Or(0); n != 2*goroutines*each {
		t.Errorf("got %d requests, want %d", n, 2*goroutines*each)
	}
	if used := st.Usage[instrument.Used].Or(-1); used != 0 {
		t.Errorf("got %d used at the end, want 0", used)
	}
}

func TestSemaphoreWaitsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		_ = s.Acquire(t.Context(), 1)
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Acquire(done, 1); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for i := range 3 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				_ = s.Acquire(ctx, 1)
			}()
		}
		time.Sleep(1500 * time.Millisecond)
		if st := s.Stats(); st.PendingAge.Or(0) != 1500*time.Millisecond || st.Pending.Or(0) != 2 {
			t.Errorf("got %d waiting, the oldest for %v; want 2, 1.5s", st.Pending.Or(-1), st.PendingAge.Or(0))
		}
		time.Sleep(time.Second)
		s.Release(1)
		synctest.Wait()
		st := s.Stats()
		if w := st.Wait[instrument.TimedOut]; w.Count() != 2 || w.Sum() != 3 {
			t.Errorf("got %d timed out after %v s in total; want 2, 3 s", w.Count(), w.Sum())
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 2 || w.Zeros() != 1 || w.Sum() != 2.5 {
			t.Errorf(
				"got %d acquired after %v s in total, %d without waiting; want 2, 2.5 s, 1",
				w.Count(),
				w.Sum(),
				w.Zeros(),
			)
		}
		if w := st.Wait[instrument.Canceled]; w.Count() != 1 || w.Zeros() != 1 {
			t.Errorf("got %d canceled, %d without waiting; want 1, 1", w.Count(), w.Zeros())
		}
		if got := st.UseTime.Or(0); got != 2.5 {
			t.Errorf("got %v slot-seconds, want 2.5", got)
		}
	})
}

func TestSemaphorePendingAgeIsOfOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		_ = s.Acquire(t.Context(), 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 2 {
			go func() { _ = s.Acquire(ctx, 1) }()
			time.Sleep(time.Second)
		}
		if age := s.Stats().PendingAge.Or(0); age != 2*time.Second {
			t.Errorf("got pending age %v, want 2s", age)
		}
	})
}

func TestSemaphoreCountsWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 10)
		_ = s.Acquire(t.Context(), 7)
		time.Sleep(time.Second)
		s.Release(3)
		time.Sleep(time.Second)
		st := s.Stats()
		if st.Limit.Or(0) != 10 || st.Usage[instrument.Used].Or(0) != 4 || st.UseTime.Or(0) != 11 {
			t.Errorf(
				"got %d of %d used and %v slot-seconds, want 4 of 10 and 11",
				st.Usage[instrument.Used].Or(0),
				st.Limit.Or(0),
				st.UseTime.Or(0),
			)
		}
	})
}

// After Close, no timer runs and the semaphore still works.
func TestSemaphoreKeepsWorkingAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		overload := func() { // starts a timer
			for range 5000 {
				_ = s.Acquire(t.Context(), 1)
				s.Release(1)
			}
		}
		// In overload, most events do not read the clock, but a single one may, so check several.
		isOverloaded := func() (blind bool) {
			for range 100 {
				_ = s.Acquire(t.Context(), 1)
				s.Release(1)
				blind = blind || wrap.MeterOf(s).Blind() > 0
			}
			return blind
		}
		overload()
		if !isOverloaded() {
			t.Error("not in overload before Close, although many requests were made")
		}
		s.Close()
		s.Close()
		overload()
		if isOverloaded() {
			t.Error("in overload after Close, want no overload and thus no timer")
		}
		if n := s.Stats().Requests[instrument.Acquired].Or(0); n != 10200 {
			t.Errorf("got %d acquired, want 10200", n)
		}
		mustSemaphore(t, 1) // the name is available again
	})
}
