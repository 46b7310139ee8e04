package measure

import (
	"math/rand/v2"
	"time"
)

const (
	// stratum is the interval in which an overloaded pool is sampled once.
	stratum = time.Millisecond
	// pairs is the approximate number of pairs of successive events per stratum that read the clock
	// in an overloaded pool. On average, a pair begins every minEvery to maxEvery events.
	pairs    = 50
	minEvery = 4
	maxEvery = 2048
	// minGap is the minimum time between the two events of a pair that counts as a gap.
	minGap = 200 * time.Microsecond
	// maxReadingAge is the maximum age, in events, of a clock reading that is still good enough to
	// recognize long spans.
	maxReadingAge = 64
	// readings is the number of recent clock readings to keep. readSpread is the minimum time
	// between two of these readings.
	readings   = 16
	readSpread = 250 * time.Microsecond
)

// overload is the part of a [Meter] for pools with too many events to read the clock at each. It
// samples the number of slots used at one random instant in each stratum, and the sample represents
// the whole stratum. The integral is therefore unbiased for any pattern of use, and its error is
// small because the samples are evenly spread (Cochran, Sampling Techniques, 1977, chapter 5): if a
// share u of the slots is used, the relative standard error over t seconds is at most
// sqrt((1-u)/(1000·u·t)).
//
// A timer, which runs only while the pool is overloaded, takes the samples. If every CPU is busy,
// Go runs the timer late, when it switches goroutines, which is not a random instant. In that case,
// events take the samples. An event that finds a sample due postpones it to a random instant a few
// events later, and until then each event reads the clock. The sample is the number of slots used
// before the first event after that instant.
//
// Postponing does not work if the sample was due in a gap, a time without events, for example
// because all goroutines are computing. Then the sample is the mean number of slots used in gaps,
// which is estimated from a random sample of the intervals between events.
type overload struct {
	level     float64       // the last sample
	events    int64         // number of events since the last sample
	sampled   time.Duration // time of the last sample
	due       time.Duration // time of the next sample
	postponed bool          // due was postponed, and each event reads the clock until due
	next      int64         // number of the event that reads the clock next; 0 means each event
	paired    bool          // the event before next has read the clock
	every     float64       // mean number of events between the starts of two pairs
	gaps      struct{ time, area float64 }
	timer     *time.Timer

	lastReading  time.Duration // last clock reading
	readingEvent int64         // value of events at the time of lastReading
	latest       time.Duration // last clock reading stored in readAt
	read         uint32        // number of clock readings stored in readAt so far
	readAt       [readings]time.Duration
}

func (m *Meter) enterOverload() {
	if m.closed {
		m.budget = 0
		return
	}
	m.overloaded, m.blind = true, true
	m.every = minEvery
	m.noteTime(m.at)
	m.drawDue()
	m.restart(m.at)
	m.timer = time.AfterFunc(m.due-m.at, m.tick)
}

func (m *Meter) endOverload() {
	m.overloaded, m.blind = false, false
	m.budget = burst
}

// tick is called when the timer fires. Only tick resets the timer, and the timer is never stopped,
// because a timer that was created in a testing/synctest bubble must not be used outside the
// bubble.
func (m *Meter) tick() {
	m.lock.Lock()
	defer m.lock.Unlock()
	if !m.overloaded {
		return
	}
	now := Clock()
	if now >= m.due {
		used := float64(m.used())
		if m.events > 0 && now-max(m.due, m.lastReading) >= minGap {
			used = m.usedInGaps(used)
		}
		m.noteTime(now)
		m.sample(now, used)
	}
	if m.overloaded {
		m.timer.Reset(m.due - now)
	}
}

// eventInOverload processes an event at which the clock was read, and takes a sample if one is due.
func (m *Meter) eventInOverload(now time.Duration, used int64) {
	passed, n, paired := now-m.lastReading, m.events-m.readingEvent, m.paired
	m.noteTime(now)
	if paired && !m.postponed {
		m.noteGap(passed, used)
	}
	switch {
	case now < m.due:
	case paired && m.due >= now-passed:
		m.sample(now, float64(used))
	case passed >= minGap && m.gaps.time > 0:
		m.sample(now, m.usedInGaps(0))
	default:
		fewEvents := 32 * passed / time.Duration(n)
		m.due, m.postponed = now+1+rand.N(min(minGap, fewEvents)+1), true
	}
	if !paired || m.postponed {
		m.paired, m.next = true, m.events+1
	} else {
		m.drawPair(0)
	}
}

// drawPair draws a random event, at least skip events ahead, at which the next pair begins. The
// draw does not depend on earlier events, so each interval between events is equally likely to be
// timed.
func (m *Meter) drawPair(skip int64) {
	n := skip + int64(rand.ExpFloat64()*m.every)
	m.paired = n == 0 // the current event, which has read the clock, is the first of the pair
	m.next = m.events + max(1, n)
}

// noteGap records how many slots were used between two events that read the clock, if the time
// passed between them is a gap.
func (m *Meter) noteGap(passed time.Duration, used int64) {
	if passed < minGap {
		return
	}
	if m.gaps.time > float64(time.Second) { // so that later gaps have more weight
		m.gaps.time /= 2
		m.gaps.area /= 2
	}
	m.gaps.time += float64(passed)
	m.gaps.area += float64(passed) * float64(used)
}

// usedInGaps returns the mean number of slots used in gaps, or fallback if no gap was recorded.
func (m *Meter) usedInGaps(fallback float64) float64 {
	if m.gaps.time == 0 {
		return fallback
	}
	return m.gaps.area / m.gaps.time
}

// drawDue draws a random instant for the next sample, in the rest of the stratum that contains
// m.at.
func (m *Meter) drawDue() {
	m.due = m.at + rand.N(stratum-m.at%stratum)
}

// sample records used, the number of slots used, as the sample of every stratum whose sample is due
// at or before now. It ends the overload if there were few events since the last sample.
func (m *Meter) sample(now time.Duration, used float64) {
	for now >= m.due {
		end := m.at - m.at%stratum + stratum + (now - m.due).Truncate(stratum)
		m.area += float64(end-m.at) * used
		m.at, m.level = end, used
		m.drawDue()
	}
	passed := now - m.sampled
	if time.Duration(m.events)*price <= passed*3/4 {
		m.endOverload()
		return
	}
	every := float64(m.events) / pairs * float64(stratum) / float64(passed)
	m.every += (min(max(every, minEvery), maxEvery) - m.every) / 16
	m.restart(now)
}

// restart resets the event count for the next sample.
func (m *Meter) restart(now time.Duration) {
	m.events, m.sampled, m.postponed = 0, now, false
	m.readingEvent = -maxReadingAge // makes uses that end after a late sample read the clock
	m.drawPair(1)
}

// noteTime records the clock reading now. It adds the reading to readAt only if it is at least
// readSpread after the previous one.
func (m *Meter) noteTime(now time.Duration) {
	m.lastReading, m.readingEvent = now, m.events
	if now-m.latest >= readSpread {
		m.read++
		m.latest, m.readAt[m.read%readings] = now, now
	}
}

// recentTime returns now or, if now is 0, a clock reading that is less than maxReadingAge events
// old.
func (m *Meter) recentTime(now time.Duration) time.Duration {
	if now != 0 {
		return now
	}
	if !m.overloaded || m.events-m.readingEvent >= maxReadingAge {
		m.noteTime(Clock())
	}
	return m.lastReading
}

// Approx returns the approximate time, which may be up to two milliseconds old if the pool is
// overloaded. now is the result of [Meter.Event].
func (m *Meter) Approx(now time.Duration) time.Duration {
	switch {
	case now != 0:
		return now
	case m.overloaded:
		return m.latest
	default:
		return Clock()
	}
}
