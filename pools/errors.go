package pools

import (
	"errors"
	"fmt"
)

// ErrClosed is wrapped by the error of a call to a pool that is closed, or that was closed while
// the call waited.
var ErrClosed = errors.New("the pool is closed")

// ErrFull is wrapped by the error of a call that finds no free slot and must not wait.
var ErrFull = errors.New("the pool is full")

// poolError adds a pool's kind and name to an error. It is formatted only on demand, because pools
// create errors in advance that they may never return.
type poolError struct {
	kind, name string
	cause      error
}

func (e *poolError) Error() string { return fmt.Sprintf("pools: %s %q: %v", e.kind, e.name, e.cause) }
func (e *poolError) Unwrap() error { return e.cause }
