//go:build !linux

package probe

import (
	"errors"
	"time"
)

// threadParked is not known here, so that what our own goroutines took counts as stretch.
func threadParked() int64 { return 0 }

// runDelay is not known here.
type runDelay struct{}

func openRunDelay() (*runDelay, error)                  { return nil, errors.ErrUnsupported }
func (*runDelay) total() (delay time.Duration, ok bool) { return 0, false }
func (*runDelay) close()                                {}
