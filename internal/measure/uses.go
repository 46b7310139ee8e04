package measure

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Uses counts and times the uses of a pool that observes the start and the end of each use. If the
// uses are tasks, it also breaks down their time. The pool's lock guards it.
type Uses struct {
	Split Split // zero if uses are not tasks

	began  int64
	blocks blocks
	ended  [4]int64 // uses that ended, by instrument.Ending
	took   Durations
}

// Use is a use that has started. The zero Use is not measured.
type Use struct {
	Span
	Sample *Sample // set if the use is a task that is to be sampled; most are not

	place int32 // index in Recorder.inProgress
}

// Begin records the start of a use. now is the time that [Meter.Event] returned.
func (u *Uses) Begin(m *Meter, now time.Duration) (use Use) {
	u.began++
	if use.Span = u.blocks.begin(m, now); use.weight != 0 {
		use.Sample = u.Split.Next(use.Span)
	}
	return use
}

// End records the end of a use. now is the time that [Meter.Event] returned.
func (u *Uses) End(m *Meter, use Use, how instrument.Ending, now time.Duration) {
	u.ended[how]++
	if m.isShort(use.Span) {
		return
	}
	u.Split.Ended(use.Sample, u.took.End(m, use.Span, now, u.done()))
}

// Skip records a use that ended immediately, because there was no resource to use.
func (u *Uses) Skip(m *Meter, how instrument.Ending) {
	u.began++
	u.ended[how]++
	u.took.Zero(m)
}

func (u *Uses) done() int64 {
	return u.ended[0] + u.ended[1] + u.ended[2] + u.ended[3]
}

// InUse returns the number of uses in progress.
func (u *Uses) InUse() int64 { return u.began - u.done() }

// Ended returns the number of uses with the given ending.
func (u *Uses) Ended(how instrument.Ending) int64 { return u.ended[how] }

// Report sets the number and durations of uses and the slot-seconds used in s. endings lists the
// endings that the pool distinguishes. now is the current time.
func (u *Uses) Report(s *instrument.Stats, m *Meter, now time.Duration, endings ...instrument.Ending) {
	s.Usage[instrument.Used] = instrument.Some(u.InUse())
	for _, e := range endings {
		s.Completed[e] = instrument.Some(u.ended[e])
	}
	if m.Off() {
		return
	}
	s.Use = u.took.Read(u.done())
	useTime := m.Total(now, u.InUse())
	s.UseTime = instrument.Some(useTime)
	s.CPUTime = u.Split.Read(useTime)
}

// AllEndings lists all endings. Resources and Workers report all of them.
var AllEndings = []instrument.Ending{instrument.OK, instrument.Failed, instrument.Panicked, instrument.Exited}
