package instrument

import (
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Exemplar describes one request's wait and identifies the trace that the request belongs to.
type Exemplar struct {
	Outcome Outcome       // how the wait ended
	Wait    time.Duration // how long the request waited
	Ended   time.Time     // when the wait ended
	Trace   trace.TraceID // trace that the request belongs to
	Span    trace.SpanID  // span that requested the slot
}

// exemplarsOf returns the exemplars whose outcome is o.
func (s *Stats) exemplarsOf(o Outcome) (matching []Exemplar) {
	for _, e := range s.Exemplars {
		if e.Outcome == o {
			matching = append(matching, e)
		}
	}
	return matching
}
