//go:build !linux

package thread

import (
	"errors"
	"time"
)

// ReadCounts is not known here.
func ReadCounts() (c Counts, ok bool) { return Counts{}, false }

// Delay is not known here.
type Delay struct{}

// OpenDelay returns [errors.ErrUnsupported].
func OpenDelay() (*Delay, error) { return nil, errors.ErrUnsupported }

// Total knows nothing.
func (*Delay) Total() (delay time.Duration, ok bool) { return 0, false }

// Close does nothing.
func (*Delay) Close() {}
