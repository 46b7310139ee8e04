package pools

import (
	"errors"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Stats returns the state of the semaphore and what happened so far, at one moment.
func (s *Semaphore) Stats() instrument.Stats {
	s.lock()
	defer s.unlock()
	var st instrument.Stats
	st.Limit = instrument.Some(s.size.Load())
	st.Usage[instrument.Used] = instrument.Some(s.used())
	st.Pending = instrument.Some(s.pending)
	st.Completed[instrument.OK] = instrument.Some(s.calls[semRelease])
	requests := s.ended
	requests[instrument.Acquired] = s.calls[semAcquire]
	requests[instrument.Rejected] = s.rejected.Load()
	for o, n := range requests {
		st.Requests[o] = instrument.Some(n)
	}
	if s.time.Off() {
		return st
	}
	for o, n := range requests {
		st.Wait[o] = s.waits.Read(instrument.Outcome(o), n)
	}
	now := s.time.Now()
	if s.pending == 0 {
		s.spare = nil // of a rush that is over
	}
	if first := s.oldest(); first != nil {
		st.PendingAge = first.wait.Age(now)
	}
	st.UseTime = instrument.Some(s.time.Total(now, s.used()))
	return st
}

// change counts a call that is about to change what is used. Caller must hold mu.
func (s *Semaphore) change(call semCall, now time.Duration) {
	s.calls[call]++
	s.time.Event(now, s.used(), s.calls[semAcquire]+s.calls[semRelease])
}

// look is what the timer does.
func (s *Semaphore) look() {
	s.lock()
	defer s.unlock()
	s.time.Look(s.used(), s.calls[semAcquire]+s.calls[semRelease])
}

// refuse counts a request that failed without waiting, and returns its error.
func (s *Semaphore) refuse(err error) error {
	s.lock()
	s.ended[semOutcome(err)]++
	s.unlock()
	return err
}

func semOutcome(err error) instrument.Outcome {
	if errors.Is(err, ErrClosed) {
		return instrument.WasClosed
	}
	return instrument.GaveUp(err)
}

func (s *Semaphore) errClosed() error {
	return fmt.Errorf("semaphore %q: %w", s.name, ErrClosed)
}
