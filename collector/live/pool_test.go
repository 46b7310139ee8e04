package live

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// A pool that reports only totals, not the duration of each wait and each use, has means instead of
// quantiles.
func TestMeansOfAPoolWithTotalsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := New(Config{}), time.Now()
		offer := func(waits, waited float64) Pool {
			time.Sleep(10 * time.Second)
			l.Offer(requestAt(start, time.Now()).
				number(catalog.PoolRequests, 100, ofPool("db", string(catalog.PoolOutcomeKey), "acquired")...).
				number(catalog.PoolUseTime, 30, ofPool("db")...).
				number(catalog.PoolWaits, waits, ofPool("db")...).
				number(catalog.PoolWaitTime, waited, ofPool("db")...).wire(t))
			return onlyPool(t, l)
		}
		p := offer(20, 5)
		expect(t, "mean wait", p.MeanWait, 0.25)
		expect(t, "mean use", p.MeanUse, 0.3)
		p = offer(20, 5)
		expectAbsent(t, "mean wait without new waits", p.MeanWait)
		expectAbsent(t, "mean use without new uses", p.MeanUse)
	})
}

// waitsShown returns the number of waits in the heatmap of the only pool.
func waitsShown(t *testing.T, l *Live) (n int64) {
	t.Helper()
	h, _ := l.History(onlyPool(t, l).ID)
	for _, column := range h.Waits.Counts {
		for _, of := range column {
			n += of
		}
	}
	return n
}

// After an app restarts, its waits count as new even if there are as many as before.
func TestHeatmapHasTheWaitsBeforeAndAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := New(Config{}), time.Now()
		offer := func() {
			time.Sleep(5 * time.Second)
			l.Offer(requestAt(start, time.Now()).waits("acquired").wire(t)) // four since the start
		}
		offer()
		offer()
		if n := waitsShown(t, l); n != 4 {
			t.Errorf("%d waits before the restart, want 4", n)
		}
		start = time.Now()
		offer()
		if n := waitsShown(t, l); n != 8 {
			t.Errorf("%d waits after the restart, want 8", n)
		}
	})
}

// The history has one column for each slot, and the last column is the current slot.
func TestHistoryCoversTheLastFifteenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		time.Sleep(20 * time.Minute)
		l.Offer(requestAt(time.Now(), time.Now()).number(catalog.PoolPending, 8, ofPool("db")...).wire(t))
		h, _ := l.History(onlyPool(t, l).ID)
		if len(h.Pending) != slots {
			t.Fatalf("%d columns, want %d", len(h.Pending), slots)
		}
		expect(t, "pending in the last column", h.Pending[slots-1], 8)
		if want := time.Now().Add(-(slots - 1) * coarse * time.Second); !h.From.Equal(want) {
			t.Errorf("the history begins at %v, want %v", h.From, want)
		}
	})
}

func TestPictureCanUseAllOfItsLimit(t *testing.T) {
	now := time.Now()
	offered := func(limit int64) Memory {
		l := New(Config{Limit: limit})
		l.Offer(requestAt(now, now).
			number(catalog.PoolLimit, 8, ofPool("db")...).
			number(catalog.PoolPending, 8, ofPool("db")...).wire(t))
		return l.Memory()
	}
	all := offered(defaultLimit).Used
	for name, c := range map[string]struct{ limit, series, refused int64 }{
		"just enough":   {all, 2, 0},
		"one byte less": {all - 1, 1, 1},
	} {
		if m := offered(c.limit); m.Series != c.series || m.Refused != c.refused {
			t.Errorf("%s: got %+v, want %d series and %d refused points", name, m, c.series, c.refused)
		}
	}
}
