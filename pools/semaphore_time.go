package pools

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

const (
	semSampleEvery = 64                    // calls of a kind for one interval that is timed, on average
	semLong        = 10 * time.Microsecond // an interval that is worth timing all that follow
)

// semTime estimates the slot-seconds used without a clock on the fast path.
//
// What is used is constant from one call that changes it to the next. Such an interval is timed after one of so many calls of a
// kind, with a random gap, and its weight is the number of calls that it stands for: the estimator of Horvitz and Thompson (J. Am.
// Stat. Assoc. 47, 1952). It needs to know nothing of who holds which permits, how many, and in which order they come back. Its
// sums are then scaled to the time that really passed (the ratio estimator: Cochran, Sampling Techniques, 6.2), so that the mean
// use stays within what was seen. While intervals are long all of them are timed, their weights are 1, and the result is exact.
//
// A Semaphore guards it with its mu.
type semTime struct {
	off, exact bool
	short      bool     // the last interval was
	left       [2]int64 // calls of a kind up to the next that starts an interval, with it
	gap        [2]int64 // calls that it stands for

	weight float64       // of the interval that is being timed, 0 if none is
	since  time.Duration // when it began

	timed float64 // seconds in intervals since the last total, weighted
	slots float64 // slot-seconds in them
	sum   float64 // slot-seconds up to the last total
	last  time.Duration
}

func (t *semTime) start(s *instrument.Sampler) {
	t.off, t.exact = s.Off(), s.Exact()
	t.left, t.gap = [2]int64{1, 1}, [2]int64{1, 1}
	t.weight, t.since = 1, t.now()
	t.last = t.since
}

// now returns the time if anything is timed at all.
func (t *semTime) now() time.Duration {
	if t.off {
		return 0
	}
	return instrument.Now()
}

// credits returns how many calls need not be reported by event.
func (t *semTime) credits(call semCall) int64 {
	if t.off {
		return semMost
	}
	if t.weight > 0 {
		return 0
	}
	return min(t.left[call]-1, semMost)
}

// spent tells how many calls were not.
func (t *semTime) spent(call semCall, n int64) {
	t.left[call] -= n
}

// event is told before a call changes what is used.
func (t *semTime) event(call semCall, used int64) {
	t.left[call]--
	if t.off || t.weight == 0 && t.left[call] > 0 {
		return
	}
	now := t.now()
	t.end(now, used)
	sampled := t.short && !t.exact
	if sampled && t.left[call] > 0 {
		return
	}
	t.weight, t.since = float64(t.gap[call]-t.left[call]), now
	t.gap[call] = 1
	if sampled {
		t.gap[call] += rand.Int64N(2*semSampleEvery - 1)
	}
	t.left[call] = t.gap[call]
}

// end ends the interval that is being timed, if one is.
func (t *semTime) end(now time.Duration, used int64) {
	if t.weight == 0 {
		return
	}
	took := now - t.since
	t.timed += t.weight * took.Seconds()
	t.slots += t.weight * took.Seconds() * float64(used)
	t.weight = 0
	t.short = took < semLong
	for call, left := range t.left {
		if !t.short && left > 1 { // the next call starts an interval, which stands for those since the last
			t.gap[call] -= left - 1
			t.left[call] = 1
		}
	}
}

// total returns the slot-seconds up to now. It starts an interval, so that while nothing happens all time is timed.
func (t *semTime) total(now time.Duration, used int64) float64 {
	t.end(now, used)
	if t.timed > 0 {
		t.sum += (now - t.last).Seconds() * t.slots / t.timed
	}
	t.timed, t.slots = 0, 0
	t.weight, t.since, t.last = 1, now, now
	return t.sum
}
