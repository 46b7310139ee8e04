package measure

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Uses counts and times the uses of a pool that sees the beginning and the end of each. If the uses
// are tasks, it also divides their time. It is guarded by the lock of the pool.
type Uses struct {
	Split Split // zero if uses are not tasks

	began  int64
	blocks blocks
	ended  [4]int64 // by instrument.Ending
	took   Durations
}

// Use is a use that has begun. The zero Use is not measured.
type Use struct {
	Span
	Sample *Sample // of a task that is to be sampled; nil for most

	place int32 // in Recorder.going
}

// Begin begins a use. now is the time that [Meter.Event] returned.
func (u *Uses) Begin(m *Meter, now time.Duration) (use Use) {
	u.began++
	if use.Span = u.blocks.begin(m, now); use.weight != 0 {
		use.Sample = u.Split.Next(use.Span)
	}
	return use
}

// End ends a use. now is the time that [Meter.Event] returned.
func (u *Uses) End(m *Meter, use Use, how instrument.Ending, now time.Duration) {
	u.ended[how]++
	if m.isShort(use.Span) {
		return
	}
	u.Split.Ended(use.Sample, u.took.End(m, use.Span, now, u.done()))
}

// Skip counts a use that ended at once, because there was no resource to use.
func (u *Uses) Skip(m *Meter, how instrument.Ending) {
	u.began++
	u.ended[how]++
	u.took.Zero(m)
}

func (u *Uses) done() int64 {
	return u.ended[0] + u.ended[1] + u.ended[2] + u.ended[3]
}

// InUse returns the number of uses that have begun but not ended.
func (u *Uses) InUse() int64 { return u.began - u.done() }

// Ended returns the number of uses that ended in the given way.
func (u *Uses) Ended(how instrument.Ending) int64 { return u.ended[how] }

// Report sets the uses, and the slots used over time, in s, for the endings that the pool
// distinguishes. now is the time of the call.
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

// AllEndings has all endings. The pools of package pools distinguish all of them.
var AllEndings = []instrument.Ending{instrument.OK, instrument.Failed, instrument.Panicked, instrument.Exited}
