package pools

import "errors"

// ErrClosed is wrapped by the error of every call to a pool that is closed, or that was closed while the call waited.
var ErrClosed = errors.New("the pool is closed")

// ErrFull is wrapped by the error of a call that does not wait and found no free slot.
var ErrFull = errors.New("the pool is full")
