// Package slottime adds up the slot-seconds that a semaphore is used, where calls may come every 10 ns and nobody knows who holds
// which permits.
package slottime

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

const (
	// timed is what a timed call may cost: a hundred times what it does cost, so that timing takes 1 % of the time at most.
	timed = 10 * time.Microsecond
	// rush is how far calls may come faster than that.
	rush = 100 * timed
	// pause is how often somebody looks while calls are not timed, on average.
	pause = 10 * time.Millisecond
)

// Meter adds up the slot-seconds used. While there is time for it, all calls that change what is used are timed, and the result
// is exact. A rush of calls is not timed; then a timer looks at random instants how many permits are used, and the mean of what
// it sees stands for the time of the rush. The instants are a Poisson process, which sees the mean whatever the pattern of use
// (Wolff, Poisson arrivals see time averages, Operations Research 30, 1982). Nothing of it is on the fast path, and nothing needs to
// be known of who holds which permits. No timer runs when the rush is over.
//
// The lock of its owner guards it.
type Meter struct {
	off, exact bool
	rush       bool
	stopped    bool
	sum        float64       // slot-seconds up to since, without unseen
	since      time.Duration // when sum was last brought up to date
	saved      time.Duration // for timing; below 0 a rush begins

	look   func()        // what the timer does
	timer  *time.Timer   // of a rush; nil before the first
	unseen time.Duration // in a rush and not yet in sum
	looks  int64         // at it
	seen   int64         // permits used, summed over looks
	looked time.Duration // when the last was, or the rush began
	calls  int64         // calls until then
}

// Start starts the meter of a pool that has the sampler. In a rush, look is called by a timer: it takes the lock and calls Look.
func (t *Meter) Start(s *instrument.Sampler, look func()) {
	t.off, t.exact, t.look = s.Off(), s.Exact(), look
	t.since, t.saved = t.Now(), rush
}

// Stop stops the timer, for good. It reports whether it ran.
func (t *Meter) Stop() (ran bool) {
	t.stopped = true
	return t.timer != nil && t.timer.Stop()
}

// Off reports whether nothing is timed at all.
func (t *Meter) Off() bool { return t.off }

// Rush reports whether calls come too fast to be timed.
func (t *Meter) Rush() bool { return t.rush }

// Now returns the time if anything is timed at all.
func (t *Meter) Now() time.Duration {
	if t.off {
		return 0
	}
	return instrument.Now()
}

// NowIfTimed returns the time if Event wants it.
func (t *Meter) NowIfTimed() time.Duration {
	if !t.Timing() {
		return 0
	}
	return instrument.Now()
}

// Timing reports whether Event has to be told of every call.
func (t *Meter) Timing() bool {
	return !t.off && !t.rush
}

// Event is told before a call changes what is used, at a time that may be read before that of the last. Calls counts all so far.
func (t *Meter) Event(now time.Duration, used, calls int64) {
	if !t.Timing() {
		return
	}
	now = max(now, t.since)
	t.saved = min(t.saved+now-t.since, rush) - timed
	t.add(now, used)
	t.looked = now
	if t.saved < 0 && !t.exact {
		t.rush, t.calls = true, calls
		t.lookLater()
	}
}

// add brings sum or unseen up to date.
func (t *Meter) add(now time.Duration, used int64) {
	if t.rush {
		t.unseen += now - t.since
	} else {
		t.sum += (now - t.since).Seconds() * float64(used)
	}
	t.since = now
}

// Look looks what is used in a rush. It may be late, and the rush over.
func (t *Meter) Look(used, calls int64) {
	if !t.rush || t.stopped {
		return
	}
	now := t.Now()
	t.add(now, used)
	t.looks++
	t.seen += used
	t.saved = min(now-t.looked-time.Duration(calls-t.calls)*timed, rush)
	t.looked, t.calls = now, calls
	t.rush = t.saved < 0
	if t.rush {
		t.lookLater()
	}
}

// lookLater sets the timer. That each instant is independent of all others makes the time between two exponential.
func (t *Meter) lookLater() {
	next := time.Duration(rand.ExpFloat64() * float64(pause))
	switch {
	case t.stopped:
	case t.timer == nil:
		t.timer = time.AfterFunc(next, t.look)
	default:
		t.timer.Reset(next)
	}
}

// Total returns the slot-seconds up to now. A rush that nobody has looked at yet is left for later.
func (t *Meter) Total(now time.Duration, used int64) float64 {
	t.add(now, used)
	if t.looks > 0 {
		t.sum += t.unseen.Seconds() * float64(t.seen) / float64(t.looks)
		t.unseen, t.looks, t.seen = 0, 0, 0
	}
	return t.sum
}
