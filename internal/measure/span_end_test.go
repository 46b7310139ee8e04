package measure

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// A wait ends at the given time, even if it is counted later and during an overload.
func TestSpanEndsAtTheTimeGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var m Meter
		mu.Lock()
		m.Init(instrument.TimingOf(), &mu, func() int64 { return 1 })
		for !m.overloaded {
			m.Event(1)
		}
		m.timer.Stop() // its function would wait for mu
		var b blocks
		waits := make([]Span, block) // one of them is timed
		for i := range waits {
			waits[i] = b.begin(&m, m.Event(1))
		}
		ended := Clock()
		time.Sleep(stratum / 2)
		var d Durations
		for i, w := range waits {
			d.End(&m, w, ended, int64(i+1))
		}
		if h := d.Read(block); h.Count() != block || h.Max() != 0 {
			t.Errorf("got %d waits of up to %v, want %d of 0 s", h.Count(), h.Max(), block)
		}
		m.Close()
		mu.Unlock()
	})
}
