package measure

import (
	"math"
	"math/rand/v2"
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
	// stratum is the time in which an overloaded pool is looked at once.
	stratum = time.Millisecond
	// block is how many spans of an overloaded pool there are for each that is timed.
	block = 32
	// readEvery is how many events of an overloaded pool there are for each that reads the clock.
	readEvery = 64
	// lookSlack is how late the timer may be with a look before events take it.
	lookSlack = 200 * time.Microsecond
	// coarseFor is for how many events a reading of the clock is good enough to tell long spans.
	coarseFor = 8
	// readings is how many of the last readings of the clock are known, and between the bounds how
	// far apart they are.
	readings   = 16
	readSpread = 250 * time.Microsecond
)

// Meter integrates the slots of one pool that are used over time, and decides what is timed.
//
// While the pool has fewer than 200,000 events a second, each event reads the clock and the
// integral is exact. When there are more, the pool is overloaded: events do not read the clock, and
// a timer looks at the slots used, once at a random instant of each millisecond. The mean of what
// it sees stands for the time since the last event that was timed. Random instants see the mean
// whatever the pattern of use; one in each stratum makes them even (Cochran, Sampling Techniques,
// 1977, chapter 5). With a share u of the slots used, the standard error over t seconds is
// sqrt((1-u)/(1000·u·t)) at most. A time without events is exact in any case. The timer runs only
// while the pool is overloaded. Where every CPU is busy Go runs it late, at a change of goroutines;
// then events take its looks.
//
// The lock of the pool guards it.
type Meter struct {
	blind  bool // events do not read the clock: overloaded, or off
	over   bool // overloaded
	always bool // every event reads the clock
	closed bool
	at     time.Duration // of the last event that was timed, or the last look
	budget time.Duration // for readings of the clock
	area   float64       // slot-nanoseconds until at, without those of unseen

	// in overload, spans until the next that is timed, and of its block after it; else 0
	skip, rest uint32

	lock   sync.Locker
	used   func() int64
	events int64         // since the last look
	unseen time.Duration // the time for which looks stand
	looks  int64
	seen   int64 // slots used, summed over looks
	offset time.Duration
	timer  *time.Timer
	read   uint32        // number of the last reading of the clock in overload that was noted
	latest time.Duration // that reading
	coarse time.Duration // the last reading in overload
	fresh  int64         // events until then
	next   int64         // the event that reads the clock; 0 is each, where that is no use
	due    time.Duration // when the next look is
	target time.Duration // the instant of a look that the timer is late with, 0 for none
	readAt [readings]time.Duration
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

// Blind reports whether events need not be announced one by one: the pool may count them and call
// [Meter.Events] later.
func (m *Meter) Blind() bool { return m.blind && m.target == 0 }

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
		m.overload()
	}
	return now
}

// advance brings the integral up to now, in which the slots used did not change.
func (m *Meter) advance(now time.Duration, used int64) {
	passed := max(0, now-m.at) // a bubble of testing/synctest has an earlier clock
	m.at = now
	m.area += float64(passed) * float64(used)
	m.budget = min(m.budget+passed, burst)
}

// eventInOverload reads the clock at one event of many. Where that says that the timer is late with
// a look, it does so at each event until a random instant has passed: what is used before that
// event is what was used at the instant.
func (m *Meter) eventInOverload(now time.Duration, used int64) {
	spacing := (now - m.coarse) / time.Duration(max(1, m.events-m.fresh))
	m.noteTime(now)
	switch {
	case m.target != 0 && now >= m.target:
		m.takeLook(now, used)
	case m.target != 0:
		m.next = m.events + 1
	case now >= m.due+lookSlack:
		m.target = now + 1 + rand.N(min(readEvery/2*spacing, lookSlack)+1)
		m.next = m.events + 1
	default:
		m.next = m.events + readEvery
	}
}

// Events announces n events of a blind meter that were not announced by [Meter.Event].
func (m *Meter) Events(n int64) { m.events += n }

func (m *Meter) overload() {
	if m.closed {
		m.budget = 0
		return
	}
	m.over, m.blind = true, true
	m.events, m.fresh, m.offset, m.next, m.target = 0, 0, 0, readEvery, 0
	m.skip = rand.Uint32N(block)
	m.rest = block - 1 - m.skip
	m.noteTime(m.at)
	m.due = m.at + m.nextLook()
	m.timer = time.AfterFunc(m.due-m.at, m.tick)
}

// nextLook returns how long it is until a random instant of the next stratum.
func (m *Meter) nextLook() time.Duration {
	offset := rand.N(stratum)
	next := stratum - m.offset + offset
	m.offset = offset
	return next
}

// tick is what the timer does. Only it resets the timer, and nothing stops it: a timer that was
// made in a bubble of testing/synctest must not be touched from outside.
func (m *Meter) tick() {
	m.lock.Lock()
	defer m.lock.Unlock()
	if !m.over {
		return
	}
	now := Clock()
	if now >= m.due {
		m.takeLook(now, m.used())
	}
	if m.over {
		m.timer.Reset(m.due - now)
	}
}

// takeLook looks at the slots used, and ends the overload if there were few events.
func (m *Meter) takeLook(now time.Duration, used int64) {
	passed := max(0, now-m.at)
	if m.events == 0 {
		m.advance(now, used)
	} else {
		m.at = now
		m.unseen += passed
		m.looks++
		m.seen += used
	}
	m.noteTime(now)
	if time.Duration(m.events)*price <= passed*3/4 {
		m.calm()
		m.budget = burst
		return
	}
	m.events, m.fresh = 0, -coarseFor // uses that end after a late look read the clock
	m.next, m.target, m.due = readEvery, 0, now+m.nextLook()
}

// calm ends the overload.
func (m *Meter) calm() {
	m.settle()
	m.over, m.blind = false, false
	m.skip, m.rest, m.target = 0, 0, 0
}

// noteTime notes a reading of the clock, unless it is close to the last one.
func (m *Meter) noteTime(now time.Duration) {
	m.coarse, m.fresh = now, m.events
	if now-m.latest >= readSpread {
		m.read++
		m.latest, m.readAt[m.read%readings] = now, now
	}
}

// nearly returns now, or if that is 0 the time as it was a few events ago, or at the last look.
func (m *Meter) nearly(now time.Duration) time.Duration {
	if now != 0 {
		return now
	}
	if !m.over || m.events-m.fresh >= coarseFor {
		m.noteTime(Clock())
	}
	return m.coarse
}

// settle adds the time for which looks stand.
func (m *Meter) settle() {
	if m.looks > 0 {
		m.area += float64(m.unseen) * float64(m.seen) / float64(m.looks)
		m.unseen, m.looks, m.seen = 0, 0, 0
	}
}

// Total returns the slot-seconds used until now, the time of the call. In overload the time since
// the last look is left for later.
func (m *Meter) Total(now time.Duration, used int64) float64 {
	if !m.blind || m.over && m.events == 0 {
		m.advance(now, used)
	}
	m.settle()
	return m.area / float64(time.Second)
}

// Approx returns the time, up to two milliseconds late if the pool is overloaded. Now is what
// [Meter.Event] returned, or 0.
func (m *Meter) Approx(now time.Duration) time.Duration {
	switch {
	case now != 0:
		return now
	case m.over:
		return m.latest
	default:
		return Clock()
	}
}

// Close ends overload, for good. A meter that is closed may still be used.
func (m *Meter) Close() {
	m.closed = true
	if m.over {
		m.takeLook(Clock(), m.used())
		m.calm()
	}
}
