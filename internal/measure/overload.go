package measure

import (
	"math/rand/v2"
	"time"
)

const (
	// stratum is the time in which an overloaded pool is sampled once.
	stratum = time.Millisecond
	// Of the events of an overloaded pool some pairs read the clock: so many in a stratum, but no
	// more than one of leastEvery events, and no fewer than one of mostEvery, begins a pair.
	pairs      = 50
	leastEvery = 4
	mostEvery  = 512
	// gap is a time without events that is longer than that from one pair to the next.
	gap = 200 * time.Microsecond
	// coarseFor is for how many events a reading of the clock is good enough to tell long spans.
	coarseFor = 8
	// readings is how many of the last readings of the clock are known, and readSpread how far
	// apart they are at least.
	readings   = 16
	readSpread = 250 * time.Microsecond
)

// overload is a [Meter] of a pool with too many events to read the clock at each. It samples the
// slots used at one random instant of each stratum, which stands for the stratum. So the integral
// is right on average whatever the pattern of use, and the samples are even (Cochran, Sampling
// Techniques, 1977, chapter 5): with a share u of the slots used, the standard error over t seconds
// is sqrt((1-u)/(1000·u·t)) at most.
//
// A timer takes the samples, and runs only while the pool is overloaded. Where every CPU is busy Go
// runs it late, at a change of goroutines, which is no random instant. Then events take the
// samples. An event that finds one due moves it by a few events, and each event reads the clock
// until it is due: what is used before the event that comes next is what was used then. That says
// nothing of a gap, a time without events, such as that in which all goroutines compute. If the
// sample was due in a gap, it is the mean of what is used in gaps, which a random sample of the
// intervals between two events tells.
type overload struct {
	level   float64       // the last sample
	events  int64         // since then
	sampled time.Duration // when that was
	due     time.Duration // when the next one is
	moved   bool          // due was moved, and each event reads the clock until then
	next    int64         // the event that reads the clock; 0 is each
	paired  bool          // the event before that one has read it
	every   float64       // the mean number of events between the begins of two pairs
	gaps    struct{ time, area float64 }
	timer   *time.Timer

	// spans until the next that is timed, and of its block after it; else 0
	skip, rest uint32

	coarse time.Duration // the last reading of the clock
	fresh  int64         // events until then
	latest time.Duration // the last reading in readAt
	read   uint32        // its number
	readAt [readings]time.Duration
}

func (m *Meter) enterOverload() {
	if m.closed {
		m.budget = 0
		return
	}
	m.over, m.blind = true, true
	m.skip = rand.Uint32N(block)
	m.rest = block - 1 - m.skip
	m.every = leastEvery
	m.noteTime(m.at)
	m.drawDue()
	m.restart(m.at)
	m.timer = time.AfterFunc(m.due-m.at, m.tick)
}

// calm ends the overload.
func (m *Meter) calm() {
	m.over, m.blind = false, false
	m.skip, m.rest = 0, 0
	m.budget = burst
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
		used := float64(m.used())
		if m.events > 0 && now-max(m.due, m.coarse) >= gap {
			used = m.usedInGaps(used)
		}
		m.noteTime(now)
		m.sample(now, used)
	}
	if m.over {
		m.timer.Reset(m.due - now)
	}
}

// eventInOverload reads the clock, and takes the sample if it is due.
func (m *Meter) eventInOverload(now time.Duration, used int64) {
	passed, n, paired := now-m.coarse, m.events-m.fresh, m.paired
	m.noteTime(now)
	if paired && !m.moved {
		m.noteGap(passed, used)
	}
	switch {
	case now < m.due:
	case paired && m.due >= now-passed:
		m.sample(now, float64(used))
	case passed >= gap && m.gaps.time > 0:
		m.sample(now, m.usedInGaps(0))
	default:
		fewEvents := 32 * passed / time.Duration(n)
		m.due, m.moved = now+1+rand.N(min(gap, fewEvents)+1), true
	}
	if !paired || m.moved {
		m.paired, m.next = true, m.events+1
	} else {
		m.drawPair(0)
	}
}

// drawPair draws the event at which the next pair begins, from the one that is from now on. All are
// equally likely, so that what comes before an interval does not decide whether it is timed.
func (m *Meter) drawPair(from int64) {
	n := from + int64(rand.ExpFloat64()*m.every)
	m.paired = n == 0 // this event has read the clock
	m.next = m.events + max(1, n)
}

// noteGap notes what was used between two events that read the clock.
func (m *Meter) noteGap(passed time.Duration, used int64) {
	if passed < gap {
		return
	}
	if m.gaps.time > float64(time.Second) { // so that later ones count for more
		m.gaps.time /= 2
		m.gaps.area /= 2
	}
	m.gaps.time += float64(passed)
	m.gaps.area += float64(passed) * float64(used)
}

// usedInGaps returns the mean of the slots used in gaps, and unknown if none was noted.
func (m *Meter) usedInGaps(unknown float64) float64 {
	if m.gaps.time == 0 {
		return unknown
	}
	return m.gaps.area / m.gaps.time
}

// drawDue draws when the next sample is due, in the stratum that begins at m.at.
func (m *Meter) drawDue() {
	m.due = m.at + rand.N(stratum-m.at%stratum)
}

// sample counts used for each stratum of which the sample was due until now. It ends the overload
// if there were few events.
func (m *Meter) sample(now time.Duration, used float64) {
	for now >= m.due {
		end := m.at - m.at%stratum + stratum + (now - m.due).Truncate(stratum)
		m.area += float64(end-m.at) * used
		m.at, m.level = end, used
		m.drawDue()
	}
	passed := now - m.sampled
	if time.Duration(m.events)*price <= passed*3/4 {
		m.calm()
		return
	}
	every := float64(m.events) / pairs * float64(stratum) / float64(passed)
	m.every += (min(max(every, leastEvery), mostEvery) - m.every) / 16
	m.restart(now)
}

// restart begins to count events for the next sample.
func (m *Meter) restart(now time.Duration) {
	m.events, m.sampled, m.moved = 0, now, false
	m.fresh = -coarseFor // uses that end after a late sample read the clock
	m.drawPair(1)
}

// noteTime notes a reading of the clock, unless it is close to the last one.
func (m *Meter) noteTime(now time.Duration) {
	m.coarse, m.fresh = now, m.events
	if now-m.latest >= readSpread {
		m.read++
		m.latest, m.readAt[m.read%readings] = now, now
	}
}

// nearly returns now, or if that is 0 the time as it was a few events ago, or at the last sample.
func (m *Meter) nearly(now time.Duration) time.Duration {
	if now != 0 {
		return now
	}
	if !m.over || m.events-m.fresh >= coarseFor {
		m.noteTime(Clock())
	}
	return m.coarse
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
