package wrap

import "github.com/poolgauge/poolgauge/internal/measure"

// MeterOf returns the Meter of s. It is not safe to use the Meter while s is in use.
func MeterOf(s *Semaphore) *measure.Meter { return &s.permits.Meter }
