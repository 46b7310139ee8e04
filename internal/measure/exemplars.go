package measure

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
)

// Waited is a wait that has ended. The zero Waited is a wait that was not measured.
type Waited struct {
	how  instrument.Outcome
	took time.Duration // 0 if unknown
}

// exemplars holds, for each outcome, the longest wait that belonged to a sampled trace, over
// roughly the last minute. The zero value is empty. It is safe for concurrent use.
type exemplars [5]atomic.Pointer[instrument.Exemplar]

// exemplarAge is how long an exemplar is kept unless a longer wait replaces it.
const exemplarAge = time.Minute

// Traced records wait w as an exemplar if ctx belongs to a sampled trace and w is the longest wait
// with its outcome in roughly the last minute. Traced is safe for concurrent use. The caller must
// not hold the pool's lock, since ctx.Value may call user code.
func (r *Requests) Traced(ctx context.Context, w Waited) {
	if r.exemplars.wants(w) {
		r.exemplars.keep(trace.SpanContextFromContext(ctx), w)
	}
}

// TracedBy is like [Requests.Traced], but for a request whose span is already known. The caller may
// hold the pool's lock.
func (r *Requests) TracedBy(span trace.SpanContext, w Waited) {
	if r.exemplars.wants(w) {
		r.exemplars.keep(span, w)
	}
}

// wants reports whether w is longer than the current exemplar for its outcome.
func (e *exemplars) wants(w Waited) bool {
	if w.took <= 0 {
		return false
	}
	kept := e[w.how].Load()
	return kept == nil || w.took > kept.Wait
}

// keep stores w as the exemplar for its outcome if span is sampled and w is still the longest wait.
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

// report adds the exemplars to s, and drops those that are too old.
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
