package wrap

import "github.com/poolgauge/poolgauge/internal/measure"

// MeterOf returns the meter of s, which must not be in use.
func MeterOf(s *Semaphore) *measure.Meter { return &s.permits.Meter }
