package pools

import (
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Size returns the number of permits.
func (s *Semaphore) Size() int64 { return s.size.Load() }

// Available returns the number of permits that are free, below 0 while the semaphore shrinks.
func (s *Semaphore) Available() int64 {
	s.lock()
	defer s.unlock()
	return s.free
}

// Waiting returns the number of requests that wait.
func (s *Semaphore) Waiting() int {
	s.lock()
	defer s.unlock()
	return s.pending()
}

// Stats returns the state of the semaphore and what happened so far, at one moment.
func (s *Semaphore) Stats() instrument.Stats {
	s.lock()
	defer s.unlock()
	s.requests.Add(instrument.Rejected, s.rejected.Swap(0))
	var st instrument.Stats
	st.Limit = instrument.Some(s.size.Load())
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
	return st
}
