package wrap

import "github.com/poolgauge/poolgauge/internal/measure"

// MeterOf returns what measures s, which must not be in use.
func MeterOf(s *Semaphore) *measure.Meter { return &s.permits.Meter }
