package pooltest

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// InTrace returns a context in a sampled trace whose ID begins with id.
func InTrace(ctx context.Context, id byte) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{id}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
}
