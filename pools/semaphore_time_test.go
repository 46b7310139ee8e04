package pools

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// hold acquires n permits, and releases them after d.
func hold(s *Semaphore, n int64, d time.Duration) {
	_ = s.Acquire(context.Background(), n)
	time.Sleep(d)
	s.Release(n)
}

// overloaded reports whether s is overloaded. It may acquire and release permits to find out.
func overloaded(s *Semaphore) bool {
	isBlind := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.meter.Off() && s.meter.Blind() > 0
	}
	for range 8 { // the next event may be one that reads the clock
		if isBlind() {
			return true
		}
		hold(s, 1, 0)
	}
	return false
}

func TestSemaphoreWaitsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		_ = s.Acquire(t.Context(), 1)
		for i := range 3 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				_ = s.Acquire(ctx, 1)
			}()
		}
		time.Sleep(1500 * time.Millisecond)
		if age := s.Stats().PendingAge.Or(0); age != 1500*time.Millisecond {
			t.Errorf("pending age %v, want 1.5 s", age)
		}
		time.Sleep(time.Second)
		s.Release(1)
		synctest.Wait()
		st := s.Stats()
		if w := st.Wait[instrument.TimedOut]; w.Count() != 2 || w.Sum() != 3 {
			t.Errorf("%d requests timed out after %v s in total, want 2 after 3 s", w.Count(), w.Sum())
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 2 || w.Zeros() != 1 || w.Sum() != 2.5 {
			t.Errorf(
				"%d requests acquired after %v s in total, %d without waiting; want 2 after 2.5 s, and 1",
				w.Count(),
				w.Sum(),
				w.Zeros(),
			)
		}
	})
}

func TestSemaphorePendingAgeIsThatOfTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		_ = s.Acquire(t.Context(), 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, n := range []int64{2, 1} { // 2 is more than the size, so both queues have a waiter
			go func() { _ = s.Acquire(ctx, n) }()
			time.Sleep(time.Second)
		}
		if age := s.Stats().PendingAge.Or(0); age != 2*time.Second {
			t.Errorf("pending age %v, want 2 s", age)
		}
	})
}

func TestSemaphoreUseTimeIsExactAtLowRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 10)
		want := 0.0
		for range 300 {
			n, d := 1+rand.Int64N(10), 10*time.Microsecond+time.Duration(rand.Int64N(int64(time.Second)))
			go hold(s, n, d)
			time.Sleep(d / 2)
			if rand.IntN(2) == 0 {
				s.Stats()
			}
			time.Sleep(d/2 + time.Microsecond + time.Duration(rand.Int64N(int64(time.Second))))
			want += float64(n) * d.Seconds()
		}
		if got := s.Stats().UseTime.Or(0); math.Abs(got-want) > 1e-6*want {
			t.Errorf("%v slot-seconds, want %v", got, want)
		}
	})
}

func TestSemaphoreUseTimeWithExactTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 10, instrument.WithExactTiming())
		want := 0.0
		for range 3000 {
			d := time.Duration(rand.Int64N(2000))
			hold(s, 3, d)
			time.Sleep(time.Duration(rand.Int64N(2000)))
			want += 3 * d.Seconds()
		}
		if got := s.Stats().UseTime.Or(0); math.Abs(got-want) > 1e-6*want {
			t.Errorf("%v slot-seconds, want %v", got, want)
		}
	})
}

// A long pause after an overload is timed, whether or not permits are held during the pause.
func TestSemaphoreUseTimeDuringPauseAfterOverload(t *testing.T) {
	for _, held := range []int64{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := mustSemaphore(t, 10)
			for range 5000 {
				hold(s, 1, 0)
			}
			if !overloaded(s) {
				t.Fatal("the semaphore is not overloaded after 10,000 calls")
			}
			_ = s.Acquire(t.Context(), held)
			time.Sleep(time.Hour)
			s.Release(held)
			if got, want := s.Stats().UseTime.Or(0), float64(held)*3600; math.Abs(got-want) > 0.5 {
				t.Errorf("%v slot-seconds, want %v", got, want)
			}
			if overloaded(s) {
				t.Error("the overload has not ended after a pause of an hour")
			}
		})
	}
}

// Free permits are held back while the first waiting request needs more than are free, since all
// later requests wait behind it. A request for more permits than the size holds back none.
func TestSemaphoreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 10)
		expect := func(when string, want float64) {
			t.Helper()
			if got := s.Stats().HeldBack.Or(math.NaN()); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: held back %v permit-seconds, want %v", when, got, want)
			}
		}
		_ = s.Acquire(t.Context(), 7)
		time.Sleep(time.Second)
		expect("without a waiter", 0)
		tooBig, giveUp := context.WithCancel(t.Context())
		go func() { _ = s.Acquire(tooBig, 11) }()
		time.Sleep(time.Second)
		giveUp()
		synctest.Wait()
		expect("after a request for more permits than the size", 0)

		go hold(s, 5, time.Second)
		time.Sleep(2 * time.Second)
		expect("with 3 of 10 free for 2 s", 6)
		go hold(s, 1, time.Second) // waits behind the request for 5
		time.Sleep(time.Second)
		s.Release(1)
		time.Sleep(time.Second)
		expect("a second after a permit was released", 6+3+4)
		s.Release(1) // serves the first request
		synctest.Wait()
		time.Sleep(time.Second / 2)
		expect("while a request waits and no permit is free", 6+3+4)
		if err := s.Resize(12); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		s.Release(5)
		expect("at the end", 6+3+4)
	})
}

// In overload, when not every event reads the clock, HeldBack is correct on average.
func TestSemaphoreHeldBackInOverload(t *testing.T) {
	s := mustSemaphore(t, 100)
	_ = s.Acquire(t.Context(), 10)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	queued := make(chan struct{})
	s.queued = func() { close(queued) }
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Acquire(ctx, 95)
	}()
	<-queued
	begin := time.Now()
	for range 3_000_000 { // each takes the slow path, and serves no request
		s.Release(0)
	}
	minimum := 90 * time.Since(begin).Seconds()
	got, over := s.Stats().HeldBack.Or(math.NaN()), overloaded(s)
	if maximum := 90 * time.Since(begin).Seconds(); got < 0.95*minimum || got > maximum*1.01 {
		t.Errorf("held back %v permit-seconds, want %v to %v (overloaded: %t)", got, minimum, maximum, over)
	}
	giveUp()
	<-done
}
