package measure

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Uses counts and times the uses of a pool that sees each begin and end, and divides their time
// where they are tasks. The lock of the pool guards it.
type Uses struct {
	Split Split // zero where uses are not tasks

	began int64
	ended [4]int64 // by instrument.Ending
	took  Durations
}

// Use is a use that has begun. The zero Use is one that is not measured.
type Use struct {
	Span
	Sample *Sample // of a task that is to be measured; nil for most

	place int32 // among the uses of a Recorder
}

// Begin begins a use, at the time that [Meter.Event] returned.
func (u *Uses) Begin(m *Meter, now time.Duration) (use Use) {
	u.began++
	if use.Span = m.Begin(now); use.weight != 0 {
		use.Sample = u.Split.Next(use.Span)
	}
	return use
}

// End ends a use, at the time that [Meter.Event] returned.
func (u *Uses) End(m *Meter, use Use, how instrument.Ending, now time.Duration) {
	u.ended[how]++
	if m.isShort(use.Span) {
		return
	}
	u.Split.Ended(use.Sample, u.took.End(m, use.Span, now, u.done()))
}

// Skip counts a use that ended at once, since there was no resource to use.
func (u *Uses) Skip(m *Meter, how instrument.Ending) {
	u.began++
	u.ended[how]++
	u.took.Zero(m)
}

func (u *Uses) done() int64 {
	return u.ended[0] + u.ended[1] + u.ended[2] + u.ended[3]
}

// InUse returns how many uses have begun and not ended.
func (u *Uses) InUse() int64 { return u.began - u.done() }

// Ended returns how many uses have ended in one way.
func (u *Uses) Ended(how instrument.Ending) int64 { return u.ended[how] }

// Report writes uses, and the slots used over time, into s, for the endings that the pool can tell
// apart. Now is the time of the call.
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

// AllEndings are those that a pool of ours can tell apart: all.
var AllEndings = []instrument.Ending{instrument.OK, instrument.Failed, instrument.Panicked, instrument.Exited}
