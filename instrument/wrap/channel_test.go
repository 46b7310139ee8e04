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

func TestChannelRefusesOneWithoutSlots(t *testing.T) {
	for _, ch := range []chan struct{}{nil, make(chan struct{})} {
		if _, err := wrap.NewChannel("refused", ch); err == nil {
			t.Errorf("a channel of capacity %d was accepted", cap(ch))
		}
	}
}

func TestChannelInTheSettingsOfTelemetry(t *testing.T) {
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
func TestChannelGoesWithBareOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ch := mustChannel(t, 2)
		ch <- struct{}{}
		if !s.TryAcquire() || s.TryAcquire() {
			t.Error("not one of two slots was free")
		}
		if used := s.Stats().Usage[instrument.Used].Or(0); used != 2 {
			t.Errorf("%d used, want 2", used)
		}
		var order []string
		for _, who := range []string{"method", "bare"} {
			go func() {
				if who == "bare" {
					ch <- struct{}{}
				} else if err := s.Acquire(t.Context()); err != nil {
					t.Error(err)
				}
				order = append(order, who)
			}()
			synctest.Wait()
		}
		<-ch
		synctest.Wait()
		s.Release()
		synctest.Wait()
		if len(order) != 2 || order[0] != "method" {
			t.Errorf("served %v", order)
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
			t.Error("a release of nothing did not wait, as a receive does")
		}
		ch <- struct{}{}
		synctest.Wait()
		if !released {
			t.Error("it still waits")
		}
	})
}

// While a program is only partly migrated, some code still uses the channel directly. Even then, no
// value is negative, no counter decreases, and the number of slots used is the channel's.
func TestChannelHalfMigrated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ch := mustChannel(t, 2)
		var in pooltest.Invariants
		in.Weighted = true // requests and releases do not add up
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
				t.Errorf("the methods hold %d of %d: %v", held, used, st)
			}
			if st.Usage[instrument.Used].Or(-1) != used || st.UseTime.Or(-1) != useTime {
				t.Errorf(
					"%d used, %v slot-seconds, want %d and %v",
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
			t.Errorf("%d of the methods' slots came back, want 1", n)
		}
		go s.Release() // waits for a slot that is taken by a send
		synctest.Wait()
		ch <- struct{}{}
		synctest.Wait()
		check(0, 4)
	})
}

func TestChannelADoneContextWinsOverAFreeSlot(t *testing.T) {
	s, ch := mustChannel(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Acquire(ctx); !errors.Is(err, context.Canceled) || len(ch) != 0 {
		t.Errorf("%v, %d slots taken", err, len(ch))
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
			t.Errorf("%d wait, the oldest for %v, want 2 and 1 s", st.Pending.Or(-1), st.PendingAge.Or(0))
		}
		if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := s.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that is done: %v", err)
		}
		time.Sleep(time.Second)
		s.Release()
		synctest.Wait()
		st := s.Stats()
		if w := st.Wait[instrument.TimedOut]; w.Count() != 2 || w.Sum() != 2 || w.Zeros() != 1 {
			t.Errorf("%d timed out after %v s together, want 2 after 2 s", w.Count(), w.Sum())
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 2 || w.Sum() != 3 {
			t.Errorf("%d acquired after %v s together, want 2 after 3 s", w.Count(), w.Sum())
		}
		if got := st.UseTime.Or(0); got != 3 {
			t.Errorf("%v slot-seconds, want 3", got)
		}
	})
}

func TestChannelInvariantsUnderLoad(t *testing.T) {
	s, ch := mustChannel(t, 4)
	const goroutines, each = 16, 3000
	// between hand-over and return, a slot counts as used while its request is still pending
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
		t.Errorf("%d acquired, want %d; %d used at the end", n, goroutines*each, len(ch))
	}
}
