package producer

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/instrument"
)

// waitExemplars converts waits to SDK exemplars.
func waitExemplars(waits []instrument.Exemplar) []metricdata.Exemplar[float64] {
	if len(waits) == 0 {
		return nil
	}
	all := make([]metricdata.Exemplar[float64], len(waits))
	for i, w := range waits {
		all[i] = metricdata.Exemplar[float64]{
			Time: w.Ended, Value: w.Wait.Seconds(), TraceID: w.Trace[:], SpanID: w.Span[:],
		}
	}
	return all
}

// holderExemplars converts holders to SDK exemplars. Unlike attributes, exemplars add no series, no
// matter how many different lines of code hold slots.
func holderExemplars[N int64 | float64](holders []instrument.Holder, now time.Time) []metricdata.Exemplar[N] {
	if len(holders) == 0 {
		return nil
	}
	all := make([]metricdata.Exemplar[N], len(holders))
	for i, h := range holders {
		e := &all[i]
		e.Time, e.Value = now, N(h.Age.Seconds())
		if len(h.Calls) > 0 {
			e.FilteredAttributes = []attribute.KeyValue{
				semconv.CodeFunctionName(h.Calls[0].Function), semconv.CodeStacktrace(h.Stack()),
			}
		}
		if h.Trace.IsValid() {
			e.TraceID = h.Trace[:]
		}
	}
	return all
}
