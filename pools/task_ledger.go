package pools

import (
	"math"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// taskLedger counts and times the requests and the uses of a pool that runs tasks. The owner guards it with the lock that it takes
// anyway.
//
// Counts are exact. The clock is read for the tasks that the sampler chooses, and for whoever blocks; the zero taskStamp is that
// of a task that is not timed, and costs two increments.
//
// Invariant: whenever the Stats are read, each histogram holds as many durations as there were requests or uses.
type taskLedger struct {
	// For each task these are touched, and nothing else: they are in one cache line or two.
	sampler   instrument.Sampler
	requests  [5]int64 // by instrument.Outcome
	completed [4]int64 // by instrument.Ending

	waits  taskSeries
	gaveUp [5]instrument.Histogram // waits by instrument.Outcome, but Acquired
	uses   taskSeries
	recent [2]time.Duration // the last timed uses, the latest first

	// What has not ended is in the use time as well, so that a pool whose tasks hang does not look idle.
	timed     int64  // uses in progress that are timed
	starts    uint64 // the sum of when they started; it may wrap around, differences come out right
	timedDone int64  // timed uses that have ended
	seen      struct {
		at      time.Duration
		untimed int64 // uses in progress that were not timed
		done    int64 // untimed uses that had ended
	}
	stuck   time.Duration // slot-time of untimed uses that were there at two readings running
	useTime float64       // the highest reported, in seconds
}

// taskStamp says when something began, and what that is good for.
type taskStamp struct {
	at      time.Duration // as instrument.Now has it; 0 if it was not timed
	sampled bool          // the task stands for those since the last sampled one
	exact   bool          // at is due to something else, so that the wait stands for itself
}

func newTaskLedger(opts []instrument.Option) taskLedger {
	return taskLedger{sampler: instrument.NewSampler(opts...), recent: [2]time.Duration{math.MaxInt64, math.MaxInt64}}
}

// ask is called for each task that is accepted without blocking.
func (l *taskLedger) ask() taskStamp {
	if l.sampler.Next() == 0 {
		return taskStamp{}
	}
	l.sampled()
	return taskStamp{at: instrument.Now(), sampled: true}
}

// askBlocked is called for each task that is accepted from a caller who blocked. Since is when that began, 0 if nothing is timed.
func (l *taskLedger) askBlocked(since time.Duration) taskStamp {
	s := taskStamp{at: since, exact: true, sampled: l.sampler.Next() > 0}
	if s.sampled {
		l.sampled()
	}
	return s
}

// sampled sets when the next task is sampled. One long use among short ones is most often due to the scheduler, and no reason to
// time all that are in the queue.
func (l *taskLedger) sampled() {
	l.sampler.Timed(min(l.recent[0], l.recent[1]))
}

// start ends the wait of a task and returns the stamp of its use.
func (l *taskLedger) start(asked taskStamp) taskStamp {
	l.requests[instrument.Acquired]++
	if asked.at == 0 {
		return taskStamp{}
	}
	return l.startTimed(asked)
}

func (l *taskLedger) startTimed(asked taskStamp) taskStamp {
	now := instrument.Now()
	if asked.exact {
		l.waits.exact(now - asked.at)
	} else {
		l.waits.sample(now-asked.at, l.requests[instrument.Acquired])
	}
	if !asked.sampled {
		return taskStamp{}
	}
	l.timed++
	l.starts += uint64(now)
	return taskStamp{at: now, sampled: true}
}

// end ends a use. Now is the time if it was timed.
func (l *taskLedger) end(use taskStamp, how instrument.Ending, now time.Duration) {
	l.completed[how]++
	if use.at != 0 {
		l.endTimed(use, now-use.at)
	}
}

func (l *taskLedger) endTimed(use taskStamp, took time.Duration) {
	l.timed--
	l.timedDone++
	l.starts -= uint64(use.at)
	l.uses.sample(took, l.done())
	l.recent = [2]time.Duration{took, l.recent[0]}
}

// refuse ends a request that came to nothing. Since is when its caller began to block, 0 if it did not.
func (l *taskLedger) refuse(how instrument.Outcome, since time.Duration) {
	l.requests[how]++
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
func (l *taskLedger) now() time.Duration {
	if l.sampler.Off() {
		return 0
	}
	return instrument.Now()
}

func (l *taskLedger) done() (n int64) {
	for _, c := range l.completed {
		n += c
	}
	return n
}

func (l *taskLedger) used() int64 {
	return l.requests[instrument.Acquired] - l.done()
}

// fill writes requests, waits and uses into s.
func (l *taskLedger) fill(s *instrument.Stats) {
	s.Usage[instrument.Used] = instrument.Some(l.used())
	for i, n := range l.requests {
		s.Requests[i] = instrument.Some(n)
	}
	for i, n := range l.completed {
		s.Completed[i] = instrument.Some(n)
	}
	if l.sampler.Off() {
		return
	}
	for i := range l.gaveUp {
		s.Wait[i] = l.gaveUp[i].Clone()
	}
	s.Wait[instrument.Acquired] = l.waits.read(l.requests[instrument.Acquired])
	s.Use = l.uses.read(l.done())
	s.UseTime = instrument.Some(l.readUseTime(s.Use.Sum()))
}

// readUseTime adds what is in progress to the seconds of the uses that have ended. Those in progress that are not timed are
// unknown, but if fewer untimed uses have ended since the last reading than were in progress then, the others have been there
// all the time.
func (l *taskLedger) readUseTime(ended float64) float64 {
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

// taskSeries is a histogram of durations of which only some are measured. A sampled one stands for those since the sample
// before as well; those since the last sample count like it whenever the histogram is read.
type taskSeries struct {
	h    instrument.Histogram
	last time.Duration // of the last sample
}

// sample records d, the last of n durations so far.
func (s *taskSeries) sample(d time.Duration, n int64) {
	s.h.RecordN(d, uint64(n)-s.h.Count())
	s.last = d
}

func (s *taskSeries) exact(d time.Duration) {
	s.h.Record(d)
}

// read returns the histogram of n durations so far, which the caller owns.
func (s *taskSeries) read(n int64) *instrument.Histogram {
	s.sample(s.last, n)
	return s.h.Clone()
}
