package pools

import (
	"errors"
	"fmt"
)

// ErrClosed is wrapped by errors from calls on a closed pool, and from calls that were waiting when
// the pool was closed.
var ErrClosed = errors.New("the pool is closed")

// ErrFull is wrapped by errors from calls that found no free slot and were not allowed to wait.
var ErrFull = errors.New("the pool is full")

// poolError adds a pool's kind and name to an error. Its message is built on demand, because a pool
// creates some errors in advance that it may never return.
type poolError struct {
	kind, name string
	cause      error
}

func (e *poolError) Error() string { return fmt.Sprintf("pools: %s %q: %v", e.kind, e.name, e.cause) }
func (e *poolError) Unwrap() error { return e.cause }
