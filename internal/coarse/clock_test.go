package coarse

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

const tick = 10 * time.Millisecond

// inBubble runs f with a clock that nobody has read.
func inBubble(t *testing.T, f func(c *Clock, now func() (time.Duration, bool))) {
	synctest.Test(t, func(*testing.T) {
		var mu sync.Mutex
		var c Clock
		c.Init(&mu, tick)
		f(&c, func() (time.Duration, bool) {
			mu.Lock()
			defer mu.Unlock()
			return c.Now()
		})
		mu.Lock()
		c.Stop()
		mu.Unlock()
	})
}

func TestClockIsAtMostATickSlow(t *testing.T) {
	inBubble(t, func(c *Clock, now func() (time.Duration, bool)) {
		first, exact := now()
		if first != instrument.Now() || !exact {
			t.Errorf("the first reading is %v, exact %v; want %v", first, exact, instrument.Now())
		}
		for range 1000 {
			time.Sleep(tick / 7)
			got, exact := now()
			if slow := instrument.Now() - got; slow < 0 || slow > tick || exact {
				t.Errorf("%v slow, exact %v", slow, exact)
			}
			if !c.Says(got) || c.IsPast(got) {
				t.Errorf("says %v, is past %v of what was just read", c.Says(got), c.IsPast(got))
			}
		}
	})
}

func TestClockStopsWhenNobodyReadsIt(t *testing.T) {
	inBubble(t, func(_ *Clock, now func() (time.Duration, bool)) {
		_, _ = now()
		time.Sleep(2*tick + tick/2)
		if got, exact := now(); got != instrument.Now() || !exact {
			t.Errorf("started again at %v, exact %v; want %v", got, exact, instrument.Now())
		}
	})
}

func TestStoppedClockIsExactAndSetsNoTimer(t *testing.T) {
	inBubble(t, func(c *Clock, now func() (time.Duration, bool)) {
		_, _ = now()
		c.Stop()
		for range 3 {
			time.Sleep(tick / 2)
			if got, exact := now(); got != instrument.Now() || !exact {
				t.Errorf("read %v, exact %v; want %v", got, exact, instrument.Now())
			}
		}
		if c.timer.Stop() {
			t.Error("the timer was set")
		}
	})
}

func TestClockIsPastAReadingAfterTwoTicks(t *testing.T) {
	inBubble(t, func(c *Clock, now func() (time.Duration, bool)) {
		time.Sleep(tick / 3)
		reading, _ := now()
		time.Sleep(tick / 2)
		for _, want := range []bool{false, true, true} {
			time.Sleep(tick)
			_, _ = now()
			if got := c.IsPast(reading); got != want || c.Says(reading) {
				t.Errorf("after %v it is past: %v", instrument.Now()-reading, got)
			}
		}
		reading, _ = now()
		time.Sleep(2*tick + tick/2) // it has stopped
		if !c.IsPast(reading) {
			t.Error("a clock that has stopped is not past")
		}
		reading, _ = now()
		if c.IsPast(reading) {
			t.Error("it is past what it says")
		}
	})
}

// That a tick is late must not make it look like two.
func TestLateTickIsOne(t *testing.T) {
	inBubble(t, func(c *Clock, now func() (time.Duration, bool)) {
		reading, _ := now()
		c.timer.Reset(5 * tick)
		time.Sleep(5*tick + tick/2)
		if c.Says(reading) || c.IsPast(reading) {
			t.Errorf("says %v, is past %v after a tick", c.Says(reading), c.IsPast(reading))
		}
	})
}
