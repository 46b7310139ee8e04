package wrap_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func mustChannel(t testing.TB, n int) (*wrap.Channel, chan struct{}) {
	t.Helper()
	ch := make(chan struct{}, n)
	s, err := wrap.NewChannel(t.Name(), ch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, ch
}

func TestNewChannelRejectsUnbufferedChannel(t *testing.T) {
	for _, ch := range []chan struct{}{nil, make(chan struct{})} {
		if _, err := wrap.NewChannel("unbuffered", ch); err == nil {
			t.Errorf("a channel of capacity %d was accepted", cap(ch))
		}
	}
}

func TestChannelTelemetrySettings(t *testing.T) {
	pooltest.Settings(t, "semaphore", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		s, err := wrap.NewChannel(name, make(chan struct{}, 2), opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		return pooltest.Pool{Close: s.Close, Use: func() {
			_ = s.Acquire(t.Context())
			s.Release()
		}}, nil
	})
}

// Methods and direct channel operations share the same slots, and wait in one queue.
func TestChannelAllowsDirectOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ch := mustChannel(t, 2)
		ch <- struct{}{}
		if !s.TryAcquire() || s.TryAcquire() {
			t.Error("after a direct send to a channel with two slots, TryAcquire did not succeed exactly once")
		}
		if used := s.Stats().Usage[instrument.Used].Or(0); used != 2 {
			t.Errorf("got %d slots used, want 2", used)
		}
		var order []string
		for _, operation := range []string{"method", "direct"} {
			go func() {
				if operation == "direct" {
					ch <- struct{}{}
				} else if err := s.Acquire(t.Context()); err != nil {
					t.Error(err)
				}
				order = append(order, operation)
			}()
			synctest.Wait()
		}
		<-ch
		synctest.Wait()
		s.Release()
		synctest.Wait()
		if len(order) != 2 || order[0] != "method" {
			t.Errorf("served in the order %v, want method first", order)
		}
		released := false
		go func() {
			for range 3 {
				s.Release()
			}
			released = true
		}()
		synctest.Wait()
		if released {
			t.Error("Release without a used slot did not wait, unlike a receive")
		}
		ch <- struct{}{}
		synctest.Wait()
		if !released {
			t.Error("Release is still waiting after a send")
		}
	})
}

// While a program is only partly migrated, some code still uses the channel directly. Even then, no
// value is negative, no counter decreases, and the number of slots used is the channel's.
func TestPartlyMigratedChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ch := mustChannel(t, 2)
		var in pooltest.Invariants
		in.Weighted = true // direct operations are not counted, so requests and releases do not add up
		check := func(used int64, useTime float64) {
			t.Helper()
			st := s.Stats()
			if err := in.Check(st); err != nil {
				t.Error(err)
			}
			if held := st.Requests[instrument.Acquired].Or(
				0,
			) - st.Completed[instrument.OK].Or(
				0,
			); held < 0 ||
				held > used {
				t.Errorf("the methods hold %d of %d used slots, want 0 to %[2]d: %v", held, used, st)
			}
			if st.Usage[instrument.Used].Or(-1) != used || st.UseTime.Or(-1) != useTime {
				t.Errorf(
					"got %d slots used and %v slot-seconds, want %d and %v",
					st.Usage[instrument.Used].Or(-1),
					st.UseTime.Or(-1),
					used,
					useTime,
				)
			}
		}
		ch <- struct{}{}
		ch <- struct{}{}
		time.Sleep(time.Second)
		s.Release() // of a slot that was taken by a send
		check(1, 2)
		time.Sleep(time.Second)
		s.Release()
		check(0, 3)
		time.Sleep(time.Second)
		check(0, 3)
		_ = s.Acquire(t.Context())
		time.Sleep(time.Second)
		check(1, 4)
		<-ch // of a slot that was taken by a method
		check(0, 4)
		if n := s.Stats().Completed[instrument.OK].Or(-1); n != 1 {
			t.Errorf("got %d slots of the methods returned, want 1", n)
		}
		go s.Release() // waits for a slot that a send takes
		synctest.Wait()
		ch <- struct{}{}
		synctest.Wait()
		check(0, 4)
	})
}

func TestChannelAcquireFailsIfContextIsDone(t *testing.T) {
	s, ch := mustChannel(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Acquire(ctx); !errors.Is(err, context.Canceled) || len(ch) != 0 {
		t.Errorf("got error %v and %d slots taken, want context.Canceled and 0", err, len(ch))
	}
}

func TestChannelWaitsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := mustChannel(t, 1)
		_ = s.Acquire(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		gaveUp := make(chan error)
		go func() { gaveUp <- s.Acquire(ctx) }()
		go func() { _ = s.Acquire(context.Background()) }()
		time.Sleep(time.Second)
		if st := s.Stats(); st.Pending.Or(0) != 2 || st.PendingAge.Or(0) != time.Second {
			t.Errorf("got %d waiting, the oldest for %v; want 2, 1s", st.Pending.Or(-1), st.PendingAge.Or(0))
		}
		if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := s.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire with an expired context: got error %v, want context.DeadlineExceeded", err)
		}
		time.Sleep(time.Second)
		s.Release()
		synctest.Wait()
		st := s.Stats()
		if w := st.Wait[instrument.TimedOut]; w.Count() != 2 || w.Sum() != 2 || w.Zeros() != 1 {
			t.Errorf(
				"got %d timed out after %v s in total, %d without waiting; want 2, 2 s, 1",
				w.Count(),
				w.Sum(),
				w.Zeros(),
			)
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 2 || w.Sum() != 3 {
			t.Errorf("got %d acquired after %v s in total; want 2, 3 s", w.Count(), w.Sum())
		}
		if got := st.UseTime.Or(0); got != 3 {
			t.Errorf("got %v slot-seconds, want 3", got)
		}
	})
}

func TestChannelInvariantsUnderLoad(t *testing.T) {
	s, ch := mustChannel(t, 4)
	const goroutines, each = 16, 3000
	// until Acquire returns, a slot counts as used although its request is still pending
	in := pooltest.Invariants{Weighted: true}
	st := in.HoldUnder(t, s.Stats, func() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					_ = s.Acquire(context.Background())
					runtime.Gosched()
					s.Release()
				}
			})
		}
		wg.Wait()
	})
	if n := st.Requests[instrument.Acquired].Or(0); n != goroutines*each || len(ch) != 0 {
		t.Errorf("got %d acquired and %d used at the end, want %d and 0", n, len(ch), goroutines*each)
	}
}
