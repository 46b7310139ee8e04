package measure

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/poolgauge/poolgauge/instrument"
)

// A pool that is created for a whole test program is used both inside and outside synctest bubbles.
func TestMeterInsideAndOutsideABubble(t *testing.T) {
	var mu sync.Mutex
	var m Meter
	m.Init(instrument.TimingOf(), &mu, func() int64 { return 1 })
	overload := func() {
		mu.Lock()
		defer mu.Unlock()
		for !m.overloaded {
			m.Event(1)
		}
	}
	synctest.Test(t, func(*testing.T) { overload() })
	overload()
	mu.Lock()
	defer mu.Unlock()
	m.Close()
	if total := m.Total(Clock(), 1); total < 0 {
		t.Errorf("got %v slot-seconds, want at least 0", total)
	}
}
