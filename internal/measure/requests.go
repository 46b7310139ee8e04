package measure

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Requests counts requests for slots by outcome, and times requests that wait. The pool's lock
// guards it.
type Requests struct {
	ended  [5]int64 // requests that ended, by instrument.Outcome
	waited [5]int64 // requests that ended after waiting, by instrument.Outcome
	took   [5]Durations

	blocks    blocks
	exemplars exemplars
}

// Begin records the start of a wait. now is the time that [Meter.Event] returned.
func (r *Requests) Begin(m *Meter, now time.Duration) Span { return r.blocks.begin(m, now) }

// Add counts n requests with outcome o that did not wait.
func (r *Requests) Add(o instrument.Outcome, n int64) { r.ended[o] += n }

// Ended returns the number of requests with outcome o.
func (r *Requests) Ended(o instrument.Outcome) int64 { return r.ended[o] }

// End records the end of a request that waited, with outcome o. now is the time that [Meter.Event]
// returned. Requests that were not granted are always timed.
func (r *Requests) End(m *Meter, o instrument.Outcome, wait Span, now time.Duration) Waited {
	r.ended[o]++
	r.waited[o]++
	if o != instrument.Acquired {
		return Waited{o, r.took[o].endTimed(m, wait, now)}
	}
	if m.isShort(wait) {
		return Waited{}
	}
	return Waited{o, r.took[o].End(m, wait, now, r.waited[o])}
}

// Report sets the requests, waits and exemplars in s. outcomes lists the outcomes that the pool
// distinguishes.
func (r *Requests) Report(s *instrument.Stats, m *Meter, outcomes ...instrument.Outcome) {
	for _, o := range outcomes {
		s.Requests[o] = instrument.Some(r.ended[o])
		if !m.Off() {
			s.Wait[o] = r.took[o].readWithZeros(r.waited[o], r.ended[o])
		}
	}
	r.exemplars.report(s, time.Now())
}

// AllOutcomes lists all outcomes. All pools of package pools but Groups report all of them.
var AllOutcomes = []instrument.Outcome{
	instrument.Acquired, instrument.Rejected, instrument.Canceled, instrument.TimedOut, instrument.WasClosed,
}
