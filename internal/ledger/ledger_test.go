package ledger

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestUsesAreCountedAndTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := NewUses()
		first, second := u.Begin(), u.Begin()
		time.Sleep(time.Second)
		u.End(first, instrument.OK)
		time.Sleep(time.Second)
		var in pooltest.Invariants
		var s instrument.Stats
		u.Report(&s, instrument.OK, instrument.Failed)
		if err := in.Check(s); err != nil {
			t.Error(err)
		}
		if got := s.UseTime.Or(0); got != 3 {
			t.Errorf("%v s used with one in progress, want 3", got)
		}
		u.End(second, instrument.Failed)
		s = instrument.Stats{}
		u.Report(&s, instrument.OK, instrument.Failed)
		if err := in.Check(s); err != nil {
			t.Error(err)
		}
		if s.Use.Count() != 2 || s.Use.Sum() != 3 || s.Use.Max() != 2*time.Second || s.Completed[instrument.Failed].Or(0) != 1 {
			t.Errorf("uses %+v, completed %v", s.Use, s.Completed)
		}
		if _, ok := s.Completed[instrument.Panicked].Get(); ok {
			t.Error("an ending that nobody asked for is there")
		}
	})
}

func TestOffCountsOnly(t *testing.T) {
	u := NewUses(instrument.WithoutTelemetry())
	u.End(u.Begin(), instrument.OK)
	var s instrument.Stats
	u.Report(&s, instrument.OK)
	if _, timed := s.UseTime.Get(); timed || s.Use != nil || s.Completed[instrument.OK].Or(0) != 1 {
		t.Errorf("%+v", s)
	}
}
