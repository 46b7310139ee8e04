package pools

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

const (
	// semTimed is what a timed call may cost: a hundred times what it does cost, so that timing takes 1 % of the time at most.
	semTimed = 10 * time.Microsecond
	// semRush is how far calls may come faster than that.
	semRush = 100 * semTimed
	// semLook is how often somebody looks while calls are not timed, on average.
	semLook = 10 * time.Millisecond
)

// semTime adds up the slot-seconds used. While there is time for it, all calls that change what is used are timed, and the result
// is exact. A rush of calls is not timed; then a timer looks at random instants how many permits are used, and the mean of what
// it sees stands for the time of the rush. The instants are a Poisson process, which sees the mean whatever the pattern of use
// (Wolff, Poisson arrivals see time averages, Operations Research 30, 1982). Nothing of it is on the fast path, and nothing needs to
// be known of who holds which permits. No timer runs when the rush is over.
//
// A Semaphore guards it with its mu.
type semTime struct {
	off, exact bool
	rush       bool
	sum        float64       // slot-seconds up to since, without unseen
	since      time.Duration // when sum was last brought up to date
	saved      time.Duration // for timing; below 0 a rush begins

	timer  *time.Timer   // of a rush; nil before the first
	unseen time.Duration // in a rush and not yet in sum
	looks  int64         // at it
	seen   int64         // permits used, summed over looks
	looked time.Duration // when the last was, or the rush began
	calls  int64         // calls until then
}

func (t *semTime) start(s *instrument.Sampler) {
	t.off, t.exact = s.Off(), s.Exact()
	t.since, t.saved = t.now(), semRush
}

// stop stops the timer.
func (t *semTime) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// now returns the time if anything is timed at all.
func (t *semTime) now() time.Duration {
	if t.off {
		return 0
	}
	return instrument.Now()
}

// nowIfTimed returns the time if event wants it.
func (t *semTime) nowIfTimed() time.Duration {
	if !t.timing() {
		return 0
	}
	return instrument.Now()
}

// timing reports whether event has to be told of every call.
func (t *semTime) timing() bool {
	return !t.off && !t.rush
}

// event is told before a call changes what is used, at a time that may be read before that of the last. It reports whether a rush
// begins.
func (t *semTime) event(now time.Duration, used int64) (rush bool) {
	if !t.timing() {
		return false
	}
	now = max(now, t.since)
	t.saved = min(t.saved+now-t.since, semRush) - semTimed
	t.add(now, used)
	t.rush = t.saved < 0 && !t.exact
	t.looked = now
	return t.rush
}

// add brings sum or unseen up to date.
func (t *semTime) add(now time.Duration, used int64) {
	if t.rush {
		t.unseen += now - t.since
	} else {
		t.sum += (now - t.since).Seconds() * float64(used)
	}
	t.since = now
}

// look looks what is used in a rush, and reports whether it goes on. calls counts all calls so far.
func (t *semTime) look(used, calls int64) (rush bool) {
	now := t.now()
	t.add(now, used)
	t.looks++
	t.seen += used
	t.saved = min(now-t.looked-time.Duration(calls-t.calls)*semTimed, semRush)
	t.looked, t.calls = now, calls
	t.rush = t.saved < 0
	return t.rush
}

// next returns when to look again. That each instant is independent of all others makes the time between two exponential.
func (t *semTime) next() time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(semLook))
}

// total returns the slot-seconds up to now. A rush that nobody has looked at yet is left for later.
func (t *semTime) total(now time.Duration, used int64) float64 {
	t.add(now, used)
	if t.looks > 0 {
		t.sum += t.unseen.Seconds() * float64(t.seen) / float64(t.looks)
		t.unseen, t.looks, t.seen = 0, 0, 0
	}
	return t.sum
}
