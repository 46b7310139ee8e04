package measure

import (
	"math"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

const (
	// price is how much of the budget a clock reading uses. It is over a hundred times the actual
	// cost, so that clock readings use less than 1% of a CPU, and there are at most 200,000 of them
	// per second.
	price = 5 * time.Microsecond
	// burst is the maximum budget that can accumulate.
	burst = 200 * price
)

// Meter integrates one pool's number of used slots over time, and decides when to read the clock.
//
// At up to 200,000 events per second, each event reads the clock and the integral is exact. Above
// that rate the pool is overloaded, and the meter samples the number of used slots; see overload.
//
// The pool's lock guards a Meter.
type Meter struct {
	blind      bool // most events do not read the clock, because the pool is overloaded or the meter is off
	overloaded bool
	always     bool // every event reads the clock
	closed     bool
	at         time.Duration // time up to which area is integrated; may be in the future by up to a stratum
	area       float64       // the integral, in slot-nanoseconds
	budget     time.Duration // for clock readings; see price
	lock       sync.Locker
	used       func() int64

	overload
}

// Init initializes the meter. lock is the pool's lock, and used returns the number of slots used;
// it is called with the lock held.
func (m *Meter) Init(t instrument.Timing, lock sync.Locker, used func() int64) {
	m.lock, m.used = lock, used
	m.always, m.blind = t.Exact, t.Off
	m.at, m.budget = Clock(), burst
	if t.Off {
		m.next = math.MaxInt64
	}
}

// Blind returns the number of events for which the pool need not call [Meter.Event]. The pool may
// count up to that many events itself and pass their number to [Meter.Events] later.
func (m *Meter) Blind() int64 {
	if !m.blind {
		return 0
	}
	return m.next - m.events - 1
}

// Off reports whether the meter is off, so that nothing is measured.
func (m *Meter) Off() bool { return m.blind && !m.overloaded }

// Event tells the meter that the number of slots used is about to change, or that a wait begins or
// ends. used is the number before the change. Event returns the time, or 0 if it did not read the
// clock.
func (m *Meter) Event(used int64) (now time.Duration) {
	if m.events++; m.blind && m.events < m.next {
		return 0
	}
	return m.event(used) // a separate function, so that Event can be inlined
}

func (m *Meter) event(used int64) (now time.Duration) {
	if m.blind {
		if m.overloaded {
			m.eventInOverload(Clock(), used)
		}
		return 0
	}
	now = Clock()
	m.advance(now, used)
	if m.budget -= price; m.budget < 0 && !m.always {
		m.enterOverload()
	}
	return now
}

// Events adds n events for which the pool did not call [Meter.Event]; see [Meter.Blind].
func (m *Meter) Events(n int64) { m.events += n }

// advance brings the integral up to now. The number of slots used must not have changed since the
// last event.
func (m *Meter) advance(now time.Duration, used int64) {
	passed := now - m.at
	if passed < 0 { // the last sample covers the time until m.at, or the clock of a synctest bubble is behind
		return
	}
	m.at = now
	m.area += float64(passed) * float64(used)
	m.budget = min(m.budget+passed, burst)
}

// Total returns the slot-seconds used until now, which must be the current time. used is the number
// of slots in use. During overload, the result does not include the time since the last sample yet.
func (m *Meter) Total(now time.Duration, used int64) float64 {
	if !m.blind {
		m.advance(now, used)
	}
	ahead := float64(max(0, m.at-now)) * m.level
	return (m.area - ahead) / float64(time.Second)
}

// Close keeps the meter from ever entering overload again, so that no timer is left running. A
// closed meter may still be used.
func (m *Meter) Close() {
	m.closed = true
	if m.overloaded {
		m.advance(Clock(), m.used())
		m.endOverload()
	}
}
