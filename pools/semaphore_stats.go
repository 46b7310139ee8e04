package pools

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Size returns the number of permits.
func (s *Semaphore) Size() int64 { return s.size.Load() }

// Available returns the number of free permits, which is negative while more permits are used than
// a lowered size allows.
func (s *Semaphore) Available() int64 {
	s.lock()
	defer s.unlock()
	return s.free
}

// Waiting returns the number of waiting requests.
func (s *Semaphore) Waiting() int {
	s.lock()
	defer s.unlock()
	return s.pending()
}

// Stats returns a consistent snapshot of the semaphore.
func (s *Semaphore) Stats() instrument.Stats {
	s.lock()
	defer s.unlock()
	s.requests.Add(instrument.Rejected, s.rejected.Swap(0))
	var st instrument.Stats
	st.Limit, st.LimitChanges = instrument.Some(s.size.Load()), instrument.Some(s.limitChanges)
	st.Usage[instrument.Used] = instrument.Some(s.used())
	st.Pending = instrument.Some(int64(s.pending()))
	if s.config.MaxPending > 0 {
		st.PendingLimit = instrument.Some(int64(s.config.MaxPending))
	}
	st.Completed[instrument.OK] = instrument.Some(s.released)
	s.requests.Report(&st, &s.meter, measure.AllOutcomes...)
	if s.meter.Off() {
		return st
	}
	now := measure.Clock()
	if first := earlier(s.queue.first, s.tooBig.first); first != nil {
		st.PendingAge = first.wait.Age(now)
	}
	st.UseTime = instrument.Some(s.meter.Total(now, s.used()))
	s.advanceHeldBack(now)
	st.HeldBack = instrument.Some(s.heldBack.time / float64(time.Second))
	return st
}

// heldBack integrates the number of free permits over the time during which the first waiting
// request needed more permits than were free.
type heldBack struct {
	time  float64       // permit-nanoseconds
	until time.Duration // time up to which permits have been integrated
}

// advanceHeldBack advances s.heldBack to now. It must be called before a request starts to wait
// and, while requests wait, before the number of permits or the waiters change. now is the time
// that the meter's Event returned. While the pool is overloaded, advanceHeldBack uses the last
// clock reading, so the integral is correct on average. Caller must hold mu.
func (s *Semaphore) advanceHeldBack(now time.Duration) {
	if s.meter.Off() {
		return
	}
	now = max(s.meter.Approx(now), s.heldBack.until)
	if s.queue.first != nil && s.free > 0 {
		s.heldBack.time += float64(s.free) * float64(now-s.heldBack.until)
	}
	s.heldBack.until = now
}
