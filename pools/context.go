package pools

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// poolContext ends with a pool. It has the values of the pool's context and of a caller's.
type poolContext struct {
	context.Context // of the pool
	values          context.Context
}

// tracedContext is a caller's context with the span that it had during the call. The context may
// be reused later.
type tracedContext struct {
	context.Context
	span trace.SpanContext
}

// traced returns ctx with its span, if it has one.
func traced(ctx context.Context) context.Context {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		return &tracedContext{ctx, span}
	}
	return ctx
}

// span returns the span of the caller's context, zero if it is not known. The nil poolContext has
// none.
func (c *poolContext) span() (span trace.SpanContext) {
	if c != nil {
		if t, ok := c.values.(*tracedContext); ok {
			return t.span
		}
	}
	return span
}

// Value asks the pool first, so that context.WithCancel finds what it derives from, and pprof.Do
// adds to the labels of a worker.
func (c *poolContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}
