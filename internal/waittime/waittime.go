// Package waittime times the waits for a pool, of which there may be a million a second.
package waittime

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/coarse"
)

// Meter times waits. As long as fewer than 100,000 begin in a second each is timed exactly. Of more it times those that an
// [instrument.Sampler] chooses, which stand for the short ones among them; those that a coarse clock ticks through twice are timed
// by that clock, to half a tick, and stand for themselves. So the long ones are all there, however many short ones there are, and the
// time of both comes out right on average (post-stratification: Cochran, Sampling Techniques, 1977, chapter 5A).
//
// The lock of its owner guards it, but for End.
type Meter struct {
	clock   *coarse.Clock
	sampler instrument.Sampler
	off     bool
	ended   [5]int64 // waits, by instrument.Outcome
	waits   [5]instrument.Sampled
}

// Wait is a wait that has begun; the zero Wait is that of a request that need not wait, and of every request without telemetry.
type Wait struct {
	since  time.Duration
	seen   time.Duration // what the coarse clock said then; 0 if every wait is timed
	took   time.Duration // set by End
	weight uint32        // how many it stands for if it is one of the short ones; 0 if it was not chosen
	common bool          // it was not chosen, and since is that of the coarse clock
	single bool          // it stands for itself
	begun  bool
}

// Init makes the meter of a pool that has the sampler. The clock is that of the pool.
func (m *Meter) Init(s instrument.Sampler, clock *coarse.Clock) {
	*m = Meter{clock: clock, sampler: s, off: s.Off()}
	m.sampler.Timed(0) // it need not care for the long ones
}

// Begun reports whether the wait has begun.
func (w Wait) Begun() bool { return w.begun }

// Begin begins w, which is the zero Wait. It takes 40 ns, or 5 ns for a wait that is not chosen.
func (m *Meter) Begin(w *Wait) {
	if m.off {
		return
	}
	w.begun = true
	w.weight, w.since = m.sampler.Next()
	if w.weight == 1 {
		return
	}
	w.seen, w.single = m.clock.Now()
	if w.weight == 0 {
		w.since, w.common = w.seen, !w.single
	}
}

// End ends a wait. It needs no lock; the meter must hear of the wait by Add. It takes as long as Begin.
func (m *Meter) End(w *Wait) {
	if w.common && m.clock.Says(w.seen) {
		return
	}
	m.end(w)
}

func (m *Meter) end(w *Wait) {
	if w.seen != 0 && !w.single {
		// Not after one tick: the short waits that it interrupts began just before it, and not half a tick.
		w.single = m.clock.IsPast(w.seen)
	}
	if w.weight == 0 && !w.single {
		return
	}
	w.took = instrument.Now() - w.since
	if w.weight == 1 && w.took > 2*m.clock.Tick() {
		w.single = true // in a rush it would stand for itself as well
	}
	if w.common {
		w.took = max(0, w.took-m.clock.Tick()/2) // it began half a tick after that, on average
	}
}

// GiveUp ends and counts a wait that came to nothing, which is timed in any case: such waits are few, and what others took says
// nothing of them.
func (m *Meter) GiveUp(o instrument.Outcome, w *Wait) {
	if !w.begun {
		return
	}
	w.single = true
	m.end(w)
	m.Add(o, w)
}

// Add counts a wait that has ended.
func (m *Meter) Add(o instrument.Outcome, w *Wait) {
	if !w.begun {
		return
	}
	m.ended[o]++
	if w.weight > 0 || w.single {
		m.add(o, w)
	}
}

func (m *Meter) add(o instrument.Outcome, w *Wait) {
	if w.single {
		m.waits[o].Exact(w.took, w.weight)
	} else {
		m.waits[o].Sample(w.took, w.weight, m.ended[o])
	}
}

// Age returns for how long w has waited, up to a tick too long; absent if that is not known.
func (w Wait) Age(now time.Duration) instrument.Optional[time.Duration] {
	if w.since == 0 {
		return instrument.Optional[time.Duration]{}
	}
	return instrument.Some(now - w.since)
}

// Read returns the waits of n requests that ended in one way, of which those that did not wait count as 0. The caller owns it.
func (m *Meter) Read(o instrument.Outcome, n int64) *instrument.Histogram {
	h := m.waits[o].Read(m.ended[o])
	h.RecordN(0, uint64(n-m.ended[o]))
	return h
}
