//go:build !linux

package thread

import (
	"errors"
	"time"
)

// ReadCounts returns false: the counts are unknown on this system.
func ReadCounts() (c Counts, ok bool) { return Counts{}, false }

// Delay measures nothing: the wait for a CPU is unknown on this system.
type Delay struct{}

// OpenDelay returns [errors.ErrUnsupported].
func OpenDelay() (*Delay, error) { return nil, errors.ErrUnsupported }

// Total returns false.
func (*Delay) Total() (delay time.Duration, ok bool) { return 0, false }

// Close does nothing.
func (*Delay) Close() {}
