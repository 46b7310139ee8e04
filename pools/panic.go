package pools

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrDeadlock is wrapped by the error of a task that would have to wait for its own pool. Such a
// task holds a worker while it waits for one, so the pool deadlocks when all workers do the same.
var ErrDeadlock = errors.New("a task must not wait for its own pool")

// PanicError is the error of a task that panicked or called [runtime.Goexit].
type PanicError struct {
	Pool  string // name of the pool
	Value any    // value passed to panic; nil after runtime.Goexit
	Stack []byte // stack of the task where it ended
}

// Error returns the cause, without the stack.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("pools: worker %q: a task called runtime.Goexit", e.Pool)
	}
	return fmt.Sprintf("pools: worker %q: a task panicked: %v", e.Pool, e.Value)
}

// Unwrap returns the panic value if it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// log is the default OnPanic: a panic is logged, neither swallowed nor fatal.
func (e *PanicError) log() {
	slog.Error("pools: a task panicked or called runtime.Goexit", "error", e, "stack", string(e.Stack))
}

// newPanicError describes a recovered panic; value is nil for runtime.Goexit. It must be called by
// the deferred function, where the stack is still that of the task. If value is a [*PanicError], it
// is returned as it is.
func newPanicError(pool string, value any) *PanicError {
	if e, ok := value.(*PanicError); ok {
		return e
	}
	return &PanicError{Pool: pool, Value: value, Stack: debug.Stack()}
}
