package producer_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

func TestWaitsHaveExemplars(t *testing.T) {
	ended := time.Now()
	stats := func() instrument.Stats {
		wait := new(instrument.Histogram)
		wait.Record(2 * time.Second)
		return instrument.Stats{
			Wait: [5]*instrument.Histogram{instrument.Acquired: wait, instrument.TimedOut: wait},
			Exemplars: []instrument.Exemplar{{
				Outcome: instrument.TimedOut, Wait: 2 * time.Second, Ended: ended,
				Trace: trace.TraceID{1, 2}, Span: trace.SpanID{3},
			}},
		}
	}
	for _, c := range []struct {
		filter string
		want   int
	}{{"", 1}, {"trace_based", 1}, {"always_on", 1}, {"always_off", 0}} {
		t.Run(c.filter, func(t *testing.T) {
			t.Setenv("OTEL_METRICS_EXEMPLAR_FILTER", c.filter)
			p := producer.New()
			defer p.Close()
			observe(t, "waits", stats)
			got := map[string][]metricdata.Exemplar[float64]{}
			all := produce(t, p)[catalog.PoolWaitDuration.Name].Data.(metricdata.ExponentialHistogram[float64])
			for _, point := range all.DataPoints {
				outcome, _ := point.Attributes.Value(catalog.PoolOutcomeKey)
				got[outcome.AsString()] = point.Exemplars
			}
			if len(got) != 2 || len(got["acquired"]) != 0 || len(got["timeout"]) != c.want {
				t.Fatalf("got exemplars %+v, want none for acquired and %d for timeout", got, c.want)
			}
			for _, e := range got["timeout"] {
				id, span := trace.TraceID(e.TraceID), trace.SpanID(e.SpanID)
				if e.Value != 2 || !e.Time.Equal(ended) || id != (trace.TraceID{1, 2}) || span != (trace.SpanID{3}) {
					t.Errorf("got exemplar %+v, want a wait of 2 s with the time, trace and span of the Stats", e)
				}
			}
		})
	}
}
