package pools

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrDeadlock is wrapped by errors from calls that would make a task wait for its own pool. Such a
// task occupies a worker while it waits for another worker, so the pool deadlocks when the tasks of
// all workers do the same.
var ErrDeadlock = errors.New("a task must not wait for its own pool")

// PanicError is the error of a task that panicked or called [runtime.Goexit].
type PanicError struct {
	Pool  string // name of the pool
	Value any    // value passed to panic; nil after runtime.Goexit
	Stack []byte // the task's stack when it panicked or called runtime.Goexit
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

// log is the default OnPanic. It logs the panic instead of ending the program.
func (e *PanicError) log() {
	slog.Error("pools: a task panicked or called runtime.Goexit", "error", e, "stack", string(e.Stack))
}

// newPanicError returns a PanicError for a recovered panic; value is nil for runtime.Goexit. It
// must be called in a deferred function, where the stack is still the task's. If value is a
// [*PanicError], newPanicError returns it unchanged.
func newPanicError(pool string, value any) *PanicError {
	if e, ok := value.(*PanicError); ok {
		return e
	}
	return &PanicError{Pool: pool, Value: value, Stack: debug.Stack()}
}
