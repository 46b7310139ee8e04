package pools

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// poolContext ends with a pool, and has the values of a caller's context where the pool's has none.
type poolContext struct {
	context.Context // of the pool
	values          context.Context
	trace           trace.TraceID // of the request of a task, where holders may be asked for; else zero
}

// Value asks the pool first, so that context.WithCancel finds what it derives from, and pprof.Do adds to
// the labels of a worker.
func (c *poolContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}
