package measure

import (
	"math"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

const (
	// price is what a reading of the clock is charged, over a hundred times its cost: readings take
	// less than 1 % of a CPU, and 200,000 of them are made in a second at most.
	price = 5 * time.Microsecond
	// burst is what may be spent at once.
	burst = 200 * price
)

// Meter integrates the slots of one pool that are used over time, and decides what is timed.
//
// While the pool has fewer than 200,000 events a second, each event reads the clock and the
// integral is exact. When there are more, the pool is overloaded, and the meter samples the slots
// used; see overload.
//
// The lock of the pool guards it.
type Meter struct {
	blind  bool // events do not read the clock: overloaded, or off
	over   bool // overloaded
	always bool // every event reads the clock
	closed bool
	at     time.Duration // the end of what area counts; in the future at times, by a stratum at most
	area   float64       // slot-nanoseconds
	budget time.Duration // for readings of the clock
	lock   sync.Locker
	used   func() int64

	overload
}

// Init makes the meter of a pool. Used returns the slots used, and is called with the lock held.
func (m *Meter) Init(t instrument.Timing, lock sync.Locker, used func() int64) {
	m.lock, m.used = lock, used
	m.always, m.blind = t.Exact, t.Off
	m.at, m.budget = Clock(), burst
	if t.Off {
		m.next = math.MaxInt64
	}
}

// Blind returns how many events need not be announced by [Meter.Event]: the pool may count up to so
// many and call [Meter.Events] later.
func (m *Meter) Blind() int64 {
	if !m.blind {
		return 0
	}
	return m.next - m.events - 1
}

// Off reports whether nothing is measured.
func (m *Meter) Off() bool { return m.blind && !m.over }

// Event announces that the slots used are about to change from used, or that a wait begins or ends.
// It returns the time, or 0 if the clock was not read.
func (m *Meter) Event(used int64) (now time.Duration) {
	if m.events++; m.blind && m.events < m.next {
		return 0
	}
	return m.event(used) // not here, so that Event is inlined
}

func (m *Meter) event(used int64) (now time.Duration) {
	if m.blind {
		if m.over {
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

// Events announces n events of a blind meter that were not announced by [Meter.Event].
func (m *Meter) Events(n int64) { m.events += n }

// advance brings the integral up to now; the slots used have not changed since the last event.
func (m *Meter) advance(now time.Duration, used int64) {
	passed := now - m.at
	if passed < 0 { // the last sample counts until then; or a bubble of testing/synctest has an earlier clock
		return
	}
	m.at = now
	m.area += float64(passed) * float64(used)
	m.budget = min(m.budget+passed, burst)
}

// Total returns the slot-seconds used until now, the time of the call. In overload the time since
// the last sample is left for later.
func (m *Meter) Total(now time.Duration, used int64) float64 {
	if !m.blind {
		m.advance(now, used)
	}
	ahead := float64(max(0, m.at-now)) * m.level
	return (m.area - ahead) / float64(time.Second)
}

// Close ends overload, for good. A meter that is closed may still be used.
func (m *Meter) Close() {
	m.closed = true
	if m.over {
		m.advance(Clock(), m.used())
		m.calm()
	}
}
