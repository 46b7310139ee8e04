package measure

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// UseAge is the age of the use in progress that began first, in whatever order uses end. It is
// absent if no use is in progress.
func TestAgeOfTheOldestUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recorder
		r.Init(instrument.Timing{})
		defer r.Close()
		checkAge := func(age time.Duration, known bool) {
			t.Helper()
			r.Lock()
			defer r.Unlock()
			var s instrument.Stats
			r.ReportUses(&s, Clock(), instrument.OK)
			if got, ok := s.UseAge.Get(); got != age || ok != known {
				t.Errorf("got UseAge %v, %v; want %v, %v", got, ok, age, known)
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
		checkAge(0, false)
		first, second, third := start(), start(), start()
		checkAge(2*time.Second, true)
		end(first)
		checkAge(time.Second, true)
		fourth := start() // reuses the place of the first
		checkAge(2*time.Second, true)
		end(third)
		end(second)
		checkAge(0, true)
		end(fourth)
		checkAge(0, false)
		if n := len(r.inProgress); n != 3 {
			t.Errorf("got %d places for at most three uses at a time, want 3", n)
		}
	})
}
