package measure

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
)

// Waited is a wait that has ended. The zero Waited is one that was not measured.
type Waited struct {
	how  instrument.Outcome
	took time.Duration // 0 if it is not known
}

// exemplars keep, for each outcome, the longest wait of about the last minute that was part of a
// sampled trace. They have no lock. The zero exemplars have none.
type exemplars [5]atomic.Pointer[instrument.Exemplar]

// exemplarAge is how long an exemplar is kept if no longer wait follows.
const exemplarAge = time.Minute

// Traced notes the trace of a request that has waited, if it is sampled and the wait is the longest
// of its outcome in about the last minute. It is safe for concurrent use. The lock of the pool must
// not be held: ctx runs code of the program.
func (r *Requests) Traced(ctx context.Context, w Waited) {
	if r.exemplars.wants(w) {
		r.exemplars.keep(trace.SpanContextFromContext(ctx), w)
	}
}

// TracedBy is [Requests.Traced] for a request whose span is already known. The lock may be held.
func (r *Requests) TracedBy(span trace.SpanContext, w Waited) {
	if r.exemplars.wants(w) {
		r.exemplars.keep(span, w)
	}
}

// wants reports whether w is longer than what is kept.
func (e *exemplars) wants(w Waited) bool {
	if w.took <= 0 {
		return false
	}
	kept := e[w.how].Load()
	return kept == nil || w.took > kept.Wait
}

func (e *exemplars) keep(span trace.SpanContext, w Waited) {
	if !span.IsValid() || !span.IsSampled() {
		return
	}
	slow := &instrument.Exemplar{
		Outcome: w.how, Wait: w.took, Ended: time.Now(), Trace: span.TraceID(), Span: span.SpanID(),
	}
	for {
		kept := e[w.how].Load()
		if kept != nil && kept.Wait >= slow.Wait || e[w.how].CompareAndSwap(kept, slow) {
			return
		}
	}
}

// report writes the exemplars into s, and forgets those that are too old.
func (e *exemplars) report(s *instrument.Stats, now time.Time) {
	for i := range e {
		kept := e[i].Load()
		switch {
		case kept == nil:
		case now.Sub(kept.Ended) > exemplarAge:
			e[i].CompareAndSwap(kept, nil)
		default:
			s.Exemplars = append(s.Exemplars, *kept)
		}
	}
}
