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

// tracedContext is a caller's context with the trace that it had during the call. The context may
// be reused later.
type tracedContext struct {
	context.Context
	id trace.TraceID
}

// traced returns ctx with its trace, if it has one.
func traced(ctx context.Context) context.Context {
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		return &tracedContext{ctx, id}
	}
	return ctx
}

// trace returns the trace of the caller's context, zero if it is not known. The nil poolContext has
// none.
func (c *poolContext) trace() trace.TraceID {
	if c != nil {
		if t, ok := c.values.(*tracedContext); ok {
			return t.id
		}
	}
	return trace.TraceID{}
}

// Value asks the pool first, so that context.WithCancel finds what it derives from, and pprof.Do
// adds to the labels of a worker.
func (c *poolContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}
