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

// hold takes n permits and gives them back after d.
func hold(s *Semaphore, n int64, d time.Duration) {
	_ = s.Acquire(context.Background(), n)
	time.Sleep(d)
	s.Release(n)
}

func inRush(s *Semaphore) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.time.Rush()
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
			t.Errorf("the oldest waits for %v, want 1.5 s", age)
		}
		time.Sleep(time.Second)
		s.Release(1)
		synctest.Wait()
		st := s.Stats()
		if w := st.Wait[instrument.TimedOut]; w.Count() != 2 || w.Sum() != 3 {
			t.Errorf("%d timed out after %v s together, want 2 after 3 s", w.Count(), w.Sum())
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 2 || w.Zeros() != 1 || w.Sum() != 2.5 {
			t.Errorf("%d acquired after %v s together, %d at once, want 2 after 2.5 s and 1", w.Count(), w.Sum(), w.Zeros())
		}
	})
}

func TestSemaphorePendingAgeIsThatOfTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 1)
		_ = s.Acquire(t.Context(), 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, n := range []int64{2, 1} { // 2 is too much, so that there are two queues
			go func() { _ = s.Acquire(ctx, n) }()
			time.Sleep(time.Second)
		}
		if age := s.Stats().PendingAge.Or(0); age != 2*time.Second {
			t.Errorf("the oldest waits for %v, want 2 s", age)
		}
	})
}

func TestSemaphoreUseTimeIsExactWhileCallsAreFarApart(t *testing.T) {
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

func TestSemaphoreUseTimeIsExactOnRequest(t *testing.T) {
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

// The estimate is right in the mean for any pattern of use: whatever is held longer, comes back later or comes in bursts. Beside a
// semaphore that estimates, another one is used in the same way at the same instants, which times everything.
func TestSemaphoreUseTimeIsUnbiasedWhereCallsComeFast(t *testing.T) {
	random := func(us int64) time.Duration { return time.Duration(rand.Int64N(2 * us * int64(time.Microsecond))) }
	for name, pattern := range map[string]func(hold func(n int64, d time.Duration)){
		"one at a time, mostly idle": func(hold func(int64, time.Duration)) {
			hold(1, random(1))
			time.Sleep(random(4))
		},
		"one at a time, mostly busy": func(hold func(int64, time.Duration)) {
			hold(1, random(4))
			time.Sleep(random(1))
		},
		"overlapping, the heavier the longer": func(hold func(int64, time.Duration)) {
			n := 1 + rand.Int64N(4)
			go hold(n, random(2*n*n))
			time.Sleep(random(8))
		},
		"bursts": func(hold func(int64, time.Duration)) {
			for range 10 {
				hold(1, random(1))
			}
			hold(5, random(50))
			time.Sleep(random(50))
		},
	} {
		t.Run(name, func(t *testing.T) {
			sum := 0.0
			const plays = 10
			for range plays {
				sum += playTimed(t, pattern)
			}
			if mean := sum / plays; math.Abs(mean-1) > 0.15 { // five standard errors at least
				t.Errorf("%.3f of what was used", mean)
			}
		})
	}
}

// playTimed returns the ratio of the slot-seconds that are estimated to those that are timed. It looks 50 times as often as the
// timer, at random instants too, so that the noise is small in a short time.
func playTimed(t *testing.T, pattern func(hold func(n int64, d time.Duration))) (ratio float64) {
	synctest.Test(t, func(t *testing.T) {
		estimated := mustSemaphore(t, 1000)
		timed, err := NewSemaphore(t.Name()+", timed", 1000, instrument.WithExactTiming())
		if err != nil {
			t.Fatal(err)
		}
		defer timed.Close()
		start := time.Now()
		const span = 100 * time.Millisecond
		rush := 0
		go func() {
			for time.Since(start) < span+span/10 {
				time.Sleep(time.Duration(rand.ExpFloat64() * float64(200*time.Microsecond)))
				if inRush(estimated) {
					rush++
				}
				estimated.look()
			}
		}()
		for time.Since(start) < span {
			pattern(func(n int64, d time.Duration) {
				_, _ = estimated.TryAcquire(n), timed.TryAcquire(n)
				time.Sleep(d)
				estimated.Release(n)
				timed.Release(n)
			})
		}
		time.Sleep(span / 5) // until nothing is held
		ratio = estimated.Stats().UseTime.Or(0) / timed.Stats().UseTime.Or(0)
		if rush < 100 {
			t.Errorf("only %d looks at a rush", rush)
		}
	})
	return ratio
}

// A long pause after a rush is timed, whether something is held in it or not.
func TestSemaphoreUseTimeOfAPauseAfterARush(t *testing.T) {
	for _, held := range []int64{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := mustSemaphore(t, 10)
			for range 5000 {
				hold(s, 1, 0)
			}
			if !inRush(s) {
				t.Fatal("no rush")
			}
			_ = s.Acquire(t.Context(), held)
			time.Sleep(time.Hour)
			s.Release(held)
			if got, want := s.Stats().UseTime.Or(0), float64(held)*3600; math.Abs(got-want) > 0.5 {
				t.Errorf("%v slot-seconds, want %v", got, want)
			}
			if inRush(s) {
				t.Error("the rush goes on")
			}
		})
	}
}

func TestSemaphoreStopsItsTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustSemaphore(t, 10)
		for range 5000 {
			hold(s, 1, 0)
		}
		s.Close()
		if s.time.Stop() {
			t.Error("the timer runs after Close")
		}
	})
}
