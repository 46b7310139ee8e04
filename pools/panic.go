package pools

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrDeadlock is wrapped by the error of a task that would have to wait for its own pool. It would
// hold a worker while it waits for one, and when all workers do that, none is left to end the wait.
var ErrDeadlock = errors.New("a task must not wait for its own pool")

// PanicError is the error of a task that did not return: it panicked or called [runtime.Goexit].
type PanicError struct {
	Pool  string // the name of the pool
	Value any    // what it panicked with; nil if it called runtime.Goexit
	Stack []byte // of the task, from where it ended
}

// Error returns the cause without the stack.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("pools: worker %q: a task called runtime.Goexit", e.Pool)
	}
	return fmt.Sprintf("pools: worker %q: a task panicked: %v", e.Pool, e.Value)
}

// Unwrap returns the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// log is the default for OnPanic: a panic is neither swallowed nor fatal.
func (e *PanicError) log() {
	slog.Error("pools: a task did not return", "error", e, "stack", string(e.Stack))
}

// newPanicError describes the panic that was recovered as value, nil for runtime.Goexit. It is
// called by the deferred function, where the stack is still that of the task. A [*PanicError] is
// returned as it is.
func newPanicError(pool string, value any) *PanicError {
	if e, ok := value.(*PanicError); ok {
		return e
	}
	return &PanicError{Pool: pool, Value: value, Stack: debug.Stack()}
}
