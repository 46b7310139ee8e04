package instrument

import (
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Exemplar is the wait of one request, with the trace that shows what the request was for.
type Exemplar struct {
	Outcome Outcome       // how the wait ended
	Wait    time.Duration // how long it took
	Ended   time.Time
	Trace   trace.TraceID // of the request
	Span    trace.SpanID  // in which it asked for the slot
}

// exemplars returns those of an outcome.
func (s *Stats) exemplars(o Outcome) (of []Exemplar) {
	for _, e := range s.Exemplars {
		if e.Outcome == o {
			of = append(of, e)
		}
	}
	return of
}
