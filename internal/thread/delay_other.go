//go:build !linux

package thread

import (
	"errors"
	"time"
)

// ReadCounts returns false: this system does not report the counts.
func ReadCounts() (c Counts, ok bool) { return Counts{}, false }

// Delay measures nothing: this system does not report how long a thread waits for a CPU.
type Delay struct{}

// OpenDelay returns [errors.ErrUnsupported].
func OpenDelay() (*Delay, error) { return nil, errors.ErrUnsupported }

// Total returns false.
func (*Delay) Total() (delay time.Duration, ok bool) { return 0, false }

// Close does nothing.
func (*Delay) Close() {}
