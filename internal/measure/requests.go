package measure

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Requests counts the requests for slots by how they end, and times those that wait. The lock of
// the pool guards it.
type Requests struct {
	ended  [5]int64 // by instrument.Outcome
	waited [5]int64 // of them
	took   [5]Durations

	exemplars exemplars
}

// Add counts n requests that did not wait.
func (r *Requests) Add(o instrument.Outcome, n int64) { r.ended[o] += n }

// Ended returns how many requests have ended in one way.
func (r *Requests) Ended(o instrument.Outcome) int64 { return r.ended[o] }

// End counts a request that waited, at the time that [Meter.Event] returned. Those that did not
// succeed are timed in any case.
func (r *Requests) End(m *Meter, o instrument.Outcome, wait Span, now time.Duration) Waited {
	r.ended[o]++
	r.waited[o]++
	if o != instrument.Acquired {
		return Waited{o, r.took[o].EndTimed(m, wait, now)}
	}
	if m.isShort(wait) {
		return Waited{}
	}
	return Waited{o, r.took[o].End(m, wait, now, r.waited[o])}
}

// Report writes requests and waits into s, for the outcomes that the pool can tell apart.
func (r *Requests) Report(s *instrument.Stats, m *Meter, outcomes ...instrument.Outcome) {
	for _, o := range outcomes {
		s.Requests[o] = instrument.Some(r.ended[o])
		if !m.Off() {
			s.Wait[o] = r.took[o].ReadWithZeros(r.waited[o], r.ended[o])
		}
	}
	r.exemplars.report(s, time.Now())
}

// AllOutcomes are all outcomes, which our pools can tell apart.
var AllOutcomes = []instrument.Outcome{
	instrument.Acquired, instrument.Rejected, instrument.Canceled, instrument.TimedOut, instrument.WasClosed,
}
