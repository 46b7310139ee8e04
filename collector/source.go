// Package collector turns the readings of sources into OpenTelemetry metrics.
//
// A [Source] reads one part of the machine, a [Producer] reads its sources at every collection of
// an OpenTelemetry reader and turns their values into points, and a [Sampler] collects on a
// schedule. The sources themselves are in collector/source. Probes run on their own schedule and
// are in collector/probe.
package collector

import (
	"context"
	"fmt"
	"math"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Source reads one part of the machine.
type Source interface {
	// Collect reads the source once and passes each value to s. A value that does not exist is
	// omitted; a value that cannot be read or parsed is reported with s.Fail, and the others are
	// still passed. Collect is never called concurrently, so a source may keep buffers and previous
	// values without a lock. It must not block: it may only read files provided by the kernel.
	Collect(ctx context.Context, s *Sample)
}

// Named is a source with the name that identifies it in metrics about the source itself.
type Named struct {
	Name   string // value of poolgauge.source
	Source Source
}

// Sample receives the values of one reading of one source. It is valid only during the call to
// Collect that it is passed to.
type Sample struct {
	to    *Producer
	errs  []error
	notes []string
}

// Float adds v, in the unit of the row m, which must have floating-point values. A value that is
// negative, infinite or NaN is impossible and reported with Fail.
func (s *Sample) Float(m *catalog.Metric, v float64, a *Attributes) {
	if !(v >= 0) || math.IsInf(v, 1) {
		s.Fail(fmt.Errorf("%s: impossible value %v", m.Name, v))
		return
	}
	row := s.to.row(m)
	row.floats = add(s.to, row.floats, m, a, a.floats.of(m), v)
}

// Int adds v, in the unit of the row m, which must have integer values. A negative value is
// impossible and reported with Fail.
func (s *Sample) Int(m *catalog.Metric, v int64, a *Attributes) {
	if v < 0 {
		s.Fail(fmt.Errorf("%s: impossible value %d", m.Name, v))
		return
	}
	row := s.to.row(m)
	row.ints = add(s.to, row.ints, m, a, a.ints.of(m), v)
}

// Try calls read and reports its error with Fail. It also recovers and reports a panic, since read
// may use a library that panics on unexpected input.
func (s *Sample) Try(read func() error) {
	defer func() {
		if v := recover(); v != nil {
			s.Fail(fmt.Errorf("panic: %v", v))
		}
	}()
	s.Fail(read())
}

// Fail reports a value that could not be read or parsed. A nil err is ignored. Errors are counted,
// and each cause is logged once.
func (s *Sample) Fail(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// Note logs text once. It is for conditions that are not errors of the source but that a user
// should know about.
func (s *Sample) Note(text string) { s.notes = append(s.notes, text) }
