package pools

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// poolContext is a context that is canceled when the pool is closed. It combines the values of the
// pool's context with those of a caller's context.
type poolContext struct {
	context.Context // the pool's context
	values          context.Context
}

// tracedContext is a caller's context together with the span that it had during the call. The span
// is recorded during the call, because some frameworks reuse a context after its request has ended.
type tracedContext struct {
	context.Context
	span trace.SpanContext
}

// traced returns ctx together with its span, or ctx itself if it has no span.
func traced(ctx context.Context) context.Context {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		return &tracedContext{ctx, span}
	}
	return ctx
}

// span returns the span of the caller's context, or the zero SpanContext if none was recorded or c
// is nil.
func (c *poolContext) span() (span trace.SpanContext) {
	if c != nil {
		if t, ok := c.values.(*tracedContext); ok {
			return t.span
		}
	}
	return span
}

// Value looks in the pool's context first, so that context.WithCancel finds its parent and pprof.Do
// extends the worker's labels.
func (c *poolContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}
