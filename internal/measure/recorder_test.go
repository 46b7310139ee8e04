package measure

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

var errTask = errors.New("task")

func call(g *Groups, f func() error) error {
	r := Run{Func: f}
	g.Start(&r)
	return g.Call(&r)
}

// One long use among many short ones is always counted in the histogram and in the use time.
func TestGroupsNeverMissALongUse(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			var g Groups
			g.Init(instrument.TimingOf(instrument.WithCPUSamples(0)))
			defer g.Close()
			short := func() {
				for range 1000 {
					_ = call(&g, func() error { return nil })
				}
			}
			short()
			long := Run{Func: func() error { return nil }}
			g.Start(&long)
			for range 20 {
				time.Sleep(time.Millisecond)
				short()
			}
			_ = g.Call(&long)
			s := g.Stats()
			if s.Use.Max() < 18*time.Millisecond || s.Use.Max() > 22*time.Millisecond {
				t.Fatalf("the longest use took %v, want 20 ms", s.Use.Max())
			}
			if u := s.UseTime.Or(0); u < 0.018 || u > 0.0201 {
				t.Fatalf("got %v slot-seconds, want 0.02", u)
			}
			if n := s.Completed[instrument.OK].Or(0); n != 21_001 || s.Requests[instrument.Acquired].Or(0) != n {
				t.Fatalf("%d uses ended, want 21,001", n)
			}
		})
	}
}

// Each use is counted exactly once when several goroutines use the groups.
func TestGroupsCountEachUseOnce(t *testing.T) {
	for _, o := range []instrument.Option{nil, instrument.WithoutTelemetry(), instrument.WithExactTiming()} {
		var g Groups
		g.Init(instrument.TimingOf(o))
		const goroutines, each = 4, 20_000
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for i := range each {
					_ = call(&g, func() error {
						if i%100 == 0 {
							return errTask
						}
						return nil
					})
					if i%1000 == 0 {
						r := Run{Func: func() error { return nil }}
						g.Unblock(g.Block(), &r)
						_ = g.Call(&r)
					}
				}
			})
		}
		wg.Wait()
		s := g.Stats()
		failed := int64(goroutines * each / 100)
		ok := int64(goroutines*each+goroutines*each/1000) - failed
		if s.Completed[instrument.OK].Or(0) != ok || s.Completed[instrument.Failed].Or(0) != failed ||
			s.Requests[instrument.Acquired].Or(
				0,
			) != ok+failed || s.Usage[instrument.Used].Or(-1) != 0 || s.Pending.Or(-1) != 0 {
			t.Errorf("got %+v, want %d uses that succeeded and %d that failed", s, ok, failed)
		}
		if s.Use != nil && s.Use.Count() != uint64(ok+failed) {
			t.Errorf("got %d durations for %d uses", s.Use.Count(), ok+failed)
		}
		g.Close()
	}
}
