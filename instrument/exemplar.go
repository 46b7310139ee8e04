package instrument

import (
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Exemplar is one request's wait, with the trace that shows what the request was for.
type Exemplar struct {
	Outcome Outcome       // how the wait ended
	Wait    time.Duration // how long the request waited
	Ended   time.Time
	Trace   trace.TraceID // trace that the request belongs to
	Span    trace.SpanID  // span that requested the slot
}

// exemplars returns the exemplars whose outcome is o.
func (s *Stats) exemplars(o Outcome) (of []Exemplar) {
	for _, e := range s.Exemplars {
		if e.Outcome == o {
			of = append(of, e)
		}
	}
	return of
}
