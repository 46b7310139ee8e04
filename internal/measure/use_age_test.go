package measure

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// The oldest use is the use in progress that began first, whatever the order in which uses end. It
// is absent if no use is in progress.
func TestAgeOfTheOldestUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recorder
		r.Init(instrument.Timing{})
		defer r.Close()
		want := func(age time.Duration, known bool) {
			t.Helper()
			r.Lock()
			defer r.Unlock()
			var s instrument.Stats
			r.ReportUses(&s, Clock(), instrument.OK)
			if got, ok := s.UseAge.Get(); got != age || ok != known {
				t.Errorf("the oldest use is %v old, known %v, want %v, %v", got, ok, age, known)
			}
		}
		start := func() Use {
			r.Lock()
			defer r.Unlock()
			time.Sleep(time.Second)
			return r.Start()
		}
		end := func(u Use) {
			r.Lock()
			defer r.Unlock()
			r.End(u, instrument.OK)
		}
		want(0, false)
		first, second, third := start(), start(), start()
		want(2*time.Second, true)
		end(first)
		want(time.Second, true)
		fourth := start() // reuses the place of the first
		want(2*time.Second, true)
		end(third)
		end(second)
		want(0, true)
		end(fourth)
		want(0, false)
		if n := len(r.going); n != 3 {
			t.Errorf("%d places for three uses at a time, want 3", n)
		}
	})
}
