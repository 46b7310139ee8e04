package pooltest

import (
	"sync"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// toy is the simplest possible pool.
type toy struct {
	mu       sync.Mutex
	acquired int64
	used     int64
	wait     instrument.Histogram
	reg      *instrument.Registration
}

func (p *toy) use() {
	p.mu.Lock()
	p.acquired++
	p.used++
	p.wait.Record(0)
	p.mu.Unlock()
	p.mu.Lock()
	p.used--
	p.mu.Unlock()
}

func (p *toy) stats() (s instrument.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Usage[instrument.Used] = instrument.Some(p.used)
	s.Requests[instrument.Acquired] = instrument.Some(p.acquired)
	s.Completed[instrument.OK] = instrument.Some(p.acquired - p.used)
	s.Wait[instrument.Acquired] = p.wait.Clone()
	return s
}

func TestSettingsOfASoundPool(t *testing.T) {
	Settings(t, "toy", func(name string, opts ...instrument.Option) (Pool, error) {
		p := new(toy)
		var err error
		p.reg, err = instrument.Observe(name, "toy", p.stats, opts...)
		return Pool{Use: p.use, Close: p.reg.Close}, err
	})
}

func TestInvariantsOfASoundPool(t *testing.T) {
	var p toy
	var in Invariants
	last := in.HoldUnder(t, p.stats, func() {
		for range 1000 {
			p.use()
		}
	})
	if n := last.Requests[instrument.Acquired].Or(0); n != 1000 {
		t.Errorf("the last Stats have %d requests, want 1000", n)
	}
}

func TestInvariantsDetectEachFault(t *testing.T) {
	one := instrument.Some(int64(1))
	for name, fault := range map[string]func(*instrument.Stats){
		"more slots used than the limit": func(s *instrument.Stats) { s.Limit = instrument.Some(int64(0)) },
		"negative number of slots used": func(s *instrument.Stats) {
			s.Usage[instrument.Used], s.Completed[instrument.Failed] = instrument.Some(int64(-1)), instrument.Some(int64(2))
		},
		"requests do not add up": func(s *instrument.Stats) { s.Requests[instrument.Acquired] = instrument.Some(int64(5)) },
		"requests decreased":     func(s *instrument.Stats) { s.Requests[instrument.Rejected] = instrument.Some(int64(0)) },
		"completed uses decreased": func(s *instrument.Stats) {
			s.Completed[instrument.OK] = instrument.Some(int64(0))
			s.Requests[instrument.Acquired] = one
		},
		"missing wait":             func(s *instrument.Stats) { s.Wait[instrument.Acquired] = new(instrument.Histogram) },
		"pending above the limit":  func(s *instrument.Stats) { s.Pending, s.PendingLimit = instrument.Some(int64(2)), one },
		"unexpected pending age":   func(s *instrument.Stats) { s.PendingAge = instrument.Some(time.Second) },
		"more uses than completed": func(s *instrument.Stats) { s.Use = new(instrument.Histogram); s.Use.RecordN(1, 2) },
		"use time decreased":       func(s *instrument.Stats) { s.UseTime = instrument.Some(0.5) },
		"held back time decreased": func(s *instrument.Stats) { s.HeldBack = instrument.Some(0.5) },
		"wait time decreased":      func(s *instrument.Stats) { s.WaitTime = instrument.Some(0.5) },
		"waits decreased":          func(s *instrument.Stats) { s.Waits = instrument.Some(int64(0)) },
	} {
		sound := func() (s instrument.Stats) {
			s.Limit, s.Usage[instrument.Used] = one, one
			s.Requests[instrument.Acquired], s.Requests[instrument.Rejected] = instrument.Some(int64(2)), one
			s.Completed[instrument.OK] = one
			s.UseTime, s.HeldBack, s.WaitTime, s.Waits = instrument.Some(
				1.0,
			), instrument.Some(
				1.0,
			), instrument.Some(
				1.0,
			), one
			return s
		}
		var in Invariants
		if err := in.Check(sound()); err != nil {
			t.Fatalf("sound Stats: %v", err)
		}
		s := sound()
		fault(&s)
		if err := in.Check(s); err == nil {
			t.Errorf("%s: Check returned no error", name)
		}
	}
}
