package measure_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

func span(id byte, flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(
		trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{id, 1}, TraceFlags: flags},
	)
}

// A wait is an exemplar if its trace is sampled, unless a longer wait ended in the last minute.
func TestExemplarIsTheLongestWaitOfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r measure.Recorder
		r.Init(instrument.Timing{})
		wait := func(s trace.SpanContext, how instrument.Outcome, took time.Duration) {
			w := r.Wait()
			time.Sleep(took)
			waited := r.Requests.End(&r.Meter, how, w, r.Meter.Event(0))
			r.Requests.Traced(trace.ContextWithSpanContext(t.Context(), s), waited)
		}
		check := func(what string, want ...instrument.Exemplar) {
			t.Helper()
			var s instrument.Stats
			r.Requests.Report(&s, &r.Meter, measure.AllOutcomes...)
			if len(s.Exemplars) != len(want) {
				t.Fatalf("%s: got %+v, want %+v", what, s.Exemplars, want)
			}
			for i, e := range s.Exemplars {
				e.Ended = time.Time{}
				if e != want[i] {
					t.Errorf("%s: got %+v, want %+v", what, e, want[i])
				}
			}
		}
		exemplar := func(id byte, how instrument.Outcome, took time.Duration) instrument.Exemplar {
			return instrument.Exemplar{Outcome: how, Wait: took, Trace: trace.TraceID{id}, Span: trace.SpanID{id, 1}}
		}
		check("no waits")
		wait(span(1, 0), instrument.Canceled, time.Second)
		wait(trace.SpanContext{}, instrument.Canceled, time.Second)
		check("waits that are not sampled")
		wait(span(2, trace.FlagsSampled), instrument.Canceled, 20*time.Millisecond)
		wait(span(3, trace.FlagsSampled), instrument.Canceled, 30*time.Millisecond)
		wait(span(4, trace.FlagsSampled), instrument.Canceled, 10*time.Millisecond)
		wait(span(5, trace.FlagsSampled), instrument.TimedOut, 5*time.Millisecond)
		longest := exemplar(3, instrument.Canceled, 30*time.Millisecond)
		check("four sampled waits", longest, exemplar(5, instrument.TimedOut, 5*time.Millisecond))
		time.Sleep(30 * time.Second)
		wait(span(6, trace.FlagsSampled), instrument.TimedOut, 6*time.Millisecond)
		time.Sleep(50 * time.Second)
		check("a minute later", exemplar(6, instrument.TimedOut, 6*time.Millisecond))
		wait(span(7, trace.FlagsSampled), instrument.Canceled, time.Millisecond)
		check("a shorter wait", exemplar(7, instrument.Canceled, time.Millisecond),
			exemplar(6, instrument.TimedOut, 6*time.Millisecond))
	})
}

// Of many concurrent waits, the longest one is the exemplar.
func TestExemplarsOfConcurrentWaits(t *testing.T) {
	var r measure.Recorder
	r.Init(instrument.Timing{})
	done := make(chan struct{})
	const waits = 100
	for i := range waits {
		go func() {
			defer func() { done <- struct{}{} }()
			r.Lock()
			w := r.Wait()
			r.Unlock()
			r.Lock()
			waited := r.Requests.End(&r.Meter, instrument.Canceled, w, r.Meter.Event(0))
			r.Unlock()
			ctx := trace.ContextWithSpanContext(context.Background(), span(byte(i+1), trace.FlagsSampled))
			r.Requests.Traced(ctx, waited)
		}()
	}
	for range waits {
		<-done
	}
	var s instrument.Stats
	r.Lock()
	defer r.Unlock()
	r.Requests.Report(&s, &r.Meter, instrument.Canceled)
	if longest := s.Wait[instrument.Canceled].Max(); len(s.Exemplars) != 1 || s.Exemplars[0].Wait != longest {
		t.Errorf("got exemplars %+v, want one wait of %v", s.Exemplars, longest)
	}
}
