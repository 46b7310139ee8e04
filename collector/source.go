// Package collector turns the readings of sources into OpenTelemetry metrics.
//
// A [Source] reads one part of the machine. A [Producer] reads its sources whenever an
// OpenTelemetry reader collects, and turns their values into points. A [Sampler] makes the reader
// collect on a schedule. The sources themselves are in collector/source. Probes, in
// collector/probe, run on their own schedule.
package collector

import (
	"context"
	"fmt"
	"math"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Source reads one part of the machine.
type Source interface {
	// Collect reads the source once and passes each value to s. It omits a value that does not
	// exist. If a value cannot be read or parsed, Collect calls s.Fail and continues with the other
	// values. Collect is never called concurrently, so a source may keep buffers and previous
	// values without a lock. Collect must not block: it may only read files provided by the kernel.
	Collect(ctx context.Context, s *Sample)
}

// Named is a Source with the name under which it is reported.
type Named struct {
	Name   string // value of the attribute poolgauge.source
	Source Source
}

// Sample receives the values that a source reads in one call to Collect. It is valid only during
// that call.
type Sample struct {
	to    *Producer
	errs  []error
	notes []string
}

// Float adds a point of m with the value v, in m's unit. The values of m must be floating-point
// numbers. If v is negative, infinite or NaN, Float passes an error to Fail instead.
func (s *Sample) Float(m *catalog.Metric, v float64, a *Attributes) {
	if !(v >= 0) || math.IsInf(v, 1) {
		s.Fail(fmt.Errorf("%s: expected a finite value of at least 0, got %v", m.Name, v))
		return
	}
	row := s.to.row(m)
	row.floats = add(s.to, row.floats, m, a, a.floats.of(m), v)
}

// Int adds a point of m with the value v, in m's unit. The values of m must be integers. If v is
// negative, Int passes an error to Fail instead.
func (s *Sample) Int(m *catalog.Metric, v int64, a *Attributes) {
	if v < 0 {
		s.Fail(fmt.Errorf("%s: negative value %d", m.Name, v))
		return
	}
	row := s.to.row(m)
	row.ints = add(s.to, row.ints, m, a, a.ints.of(m), v)
}

// Try calls read and passes its error to Fail. If read panics, Try recovers and passes the panic to
// Fail as an error, since read may use a library that panics on unexpected input.
func (s *Sample) Try(read func() error) {
	defer func() {
		if v := recover(); v != nil {
			s.Fail(fmt.Errorf("panic while reading the source: %v", v))
		}
	}()
	s.Fail(read())
}

// Fail records err, the reason why a value could not be read or parsed. It ignores a nil err.
// Errors are counted, and each cause is logged once.
func (s *Sample) Fail(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// Note logs text once. It is for conditions that are not errors of the source but that users should
// know about.
func (s *Sample) Note(text string) { s.notes = append(s.notes, text) }
