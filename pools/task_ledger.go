package pools

import (
	"math"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// A pool that runs tasks keeps two ledgers of them, one for each end of its queue. Counts are exact. The clock is read for the tasks
// that the sampler chooses, and for whoever blocks; the zero taskStamp is that of a task that is not timed, and costs nothing.
//
// Whenever the Stats are read, each histogram holds as many durations as there were requests or uses.

// askLedger counts and times the requests that come to nothing, and stamps the others. Its owner guards it with the lock that it
// takes anyway to accept a task.
type askLedger struct {
	sampler instrument.Sampler
	refused [5]int64                // requests by instrument.Outcome, but Acquired
	gaveUp  [5]instrument.Histogram // their waits
}

// runLedger counts and times uses and the waits before them. Its owner guards it with the lock that it takes anyway to run a task.
type runLedger struct {
	acquired  int64
	completed [4]int64 // by instrument.Ending
	waits     instrument.Sampled
	uses      instrument.Sampled
	cpu       instrument.CPUSampler

	// What has not ended is in the use time as well, so that a pool whose tasks hang does not look idle.
	timed     int64            // uses in progress that are timed
	starts    uint64           // the sum of when they started; it may wrap around, differences come out right
	timedDone int64            // timed uses that have ended
	recent    [2]time.Duration // the last of them, the latest first
	seen      struct {
		at      time.Duration
		untimed int64 // uses in progress that were not timed
		done    int64 // untimed uses that had ended
	}
	stuck   time.Duration // slot-time of untimed uses that were there at two readings running
	useTime float64       // the highest reported, in seconds
}

// taskUse is a use that has begun.
type taskUse struct {
	began taskStamp
	cpu   *instrument.CPUSample // nil unless it is measured what its thread does
}

// taskStamp says since when a task waits or runs, and for how many it stands: nanoseconds, as instrument.Now has them, above two bits
// that say the weight; 0 if it is not timed. It has room for 73 years.
type taskStamp int64

const stampWeightBits = 2

// stampWeights are those that a sampler gives, and 0.
var stampWeights = [1 << stampWeightBits]uint32{0, 1, 32, 128}

func stamp(at time.Duration, weight uint32) taskStamp {
	return taskStamp(at)<<stampWeightBits | taskStamp(slices.Index(stampWeights[:], weight))
}

func (s taskStamp) at() time.Duration { return time.Duration(s >> stampWeightBits) }

func (s taskStamp) weight() uint32 { return stampWeights[s&(1<<stampWeightBits-1)] }

func newAskLedger(opts []instrument.Option) askLedger {
	return askLedger{sampler: instrument.NewSampler(opts...)}
}

func newRunLedger(opts []instrument.Option) runLedger {
	return runLedger{cpu: instrument.NewCPUSampler(opts...)}
}

// ask is called for each task that is accepted into a queue without blocking.
func (l *askLedger) ask() taskStamp {
	weight, now := l.sampler.Next()
	if weight == 0 {
		return 0
	}
	return stamp(now, weight)
}

// refuse ends a request that came to nothing. Since is when its caller began to block, 0 if it did not.
func (l *askLedger) refuse(how instrument.Outcome, since time.Duration) {
	l.refused[how]++
	if l.sampler.Off() {
		return
	}
	var wait time.Duration
	if since != 0 {
		wait = instrument.Now() - since
	}
	l.gaveUp[how].Record(wait)
}

// now returns the time for whoever is about to block, 0 if nothing is timed.
func (l *askLedger) now() time.Duration {
	if l.sampler.Off() {
		return 0
	}
	return instrument.Now()
}

// startDirect begins a use that was in no queue, after a wait that is known.
func (l *runLedger) startDirect(wait time.Duration, asked taskStamp) taskUse {
	l.acquired++
	l.waits.Exact(wait, 1)
	if asked == 0 {
		return taskUse{}
	}
	return l.use(instrument.Now(), asked.weight())
}

func (l *runLedger) use(now time.Duration, weight uint32) taskUse {
	l.timed++
	l.starts += uint64(now)
	return taskUse{began: stamp(now, weight), cpu: l.cpu.Next(now, l.acquired)}
}

// end ends a use. Now is the time if it was timed.
func (l *runLedger) end(use taskUse, how instrument.Ending, now time.Duration) {
	l.completed[how]++
	if use.began != 0 {
		l.endTimed(use, now)
	}
}

func (l *runLedger) endTimed(use taskUse, now time.Duration) {
	began := use.began.at()
	took := now - began
	l.timed--
	l.timedDone++
	l.starts -= uint64(began)
	l.cpu.Add(use.cpu)
	l.uses.Sample(took, use.began.weight(), l.done())
	l.recent = [2]time.Duration{took, l.recent[0]}
}

func (l *runLedger) done() (n int64) {
	for _, c := range l.completed {
		n += c
	}
	return n
}

func (l *runLedger) used() int64 {
	return l.acquired - l.done()
}

// pace returns how long uses take at present. One long use among short ones is most often due to the scheduler, and no reason to
// time all that are in the queue.
func (l *runLedger) pace() time.Duration {
	if l.timedDone < int64(len(l.recent)) {
		return math.MaxInt64 // not known yet: time all
	}
	return min(l.recent[0], l.recent[1])
}

// tally writes requests, waits and uses into s. Caller must hold the locks of both ledgers.
func tally(s *instrument.Stats, asks *askLedger, runs *runLedger) {
	for i, n := range asks.refused {
		s.Requests[i] = instrument.Some(n)
	}
	s.Requests[instrument.Acquired] = instrument.Some(runs.acquired)
	for i, n := range runs.completed {
		s.Completed[i] = instrument.Some(n)
	}
	s.Usage[instrument.Used] = instrument.Some(runs.used())
	if asks.sampler.Off() {
		return
	}
	for i := range asks.gaveUp {
		s.Wait[i] = asks.gaveUp[i].Clone()
	}
	s.Wait[instrument.Acquired] = runs.waits.Read(runs.acquired)
	s.Use = runs.uses.Read(runs.done())
	s.UseTime = instrument.Some(runs.readUseTime(s.Use.Sum()))
	s.CPUTime = runs.cpu.Time()
}

// readUseTime adds what is in progress to the seconds of the uses that have ended. Those in progress that are not timed are
// unknown, but if fewer untimed uses have ended since the last reading than were in progress then, the others have been there
// all the time.
func (l *runLedger) readUseTime(ended float64) float64 {
	now := instrument.Now()
	untimedDone := l.done() - l.timedDone
	if stuck := l.seen.untimed - (untimedDone - l.seen.done); stuck > 0 {
		l.stuck += time.Duration(stuck) * (now - l.seen.at)
	}
	l.seen.at, l.seen.untimed, l.seen.done = now, l.used()-l.timed, untimedDone
	timed := time.Duration(uint64(l.timed)*uint64(now) - l.starts)
	// Floating point could lose a unit in the last place, and a counter must not fall.
	l.useTime = max(l.useTime, ended+(timed+l.stuck).Seconds())
	return l.useTime
}

// workerCaller is a caller of Submit that is blocked.
type workerCaller struct {
	since      time.Duration // when it blocked, 0 if that was not timed
	prev, next *workerCaller
	waiting    bool
}

// workerCallers is a list of blocked callers, in their order.
type workerCallers struct {
	first, last *workerCaller
}

func (l *workerCallers) push(c *workerCaller) {
	c.waiting = true
	c.prev = l.last
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
}

// remove takes c, which must be waiting, off the list.
func (l *workerCallers) remove(c *workerCaller) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.waiting = nil, nil, false
}
