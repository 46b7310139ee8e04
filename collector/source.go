// Package collector turns what sources read into OpenTelemetry metrics.
//
// A [Source] reads one part of the machine, a [Producer] reads its sources at every collection of an
// OpenTelemetry reader and makes points of their values, and a [Sampler] collects on a schedule. The
// sources themselves are in collector/source; probes run on their own schedule, in collector/probe.
package collector

import (
	"context"
	"fmt"
	"math"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Source reads one part of the machine.
type Source interface {
	// Collect reads the source once and hands each value that it got to s. A value that is absent
	// is left out; one that should be there and cannot be read or understood is reported with
	// s.Fail and costs only itself. Collect is never called concurrently, so a source may keep
	// buffers and previous values without a lock. It must not block: it reads files of the kernel
	// and nothing else.
	Collect(ctx context.Context, s *Sample)
}

// Named is a source under the name that its figures about itself carry.
type Named struct {
	Name   string // value of poolgauge.source
	Source Source
}

// Sample takes the values of one reading of one source. It is valid only during the call of Collect
// that it was passed to.
type Sample struct {
	to    *Producer
	errs  []error
	notes []string
}

// Float takes v, in the unit of the row m, which is of floating-point numbers. What a source reads
// is never negative: such a value, or one that is no number, fails.
func (s *Sample) Float(m *catalog.Metric, v float64, a *Attributes) {
	if !(v >= 0) || math.IsInf(v, 1) {
		s.Fail(fmt.Errorf("%s: %v cannot be", m.Name, v))
		return
	}
	row := s.to.row(m)
	row.floats = add(s.to, row.floats, m, a, a.floats.of(m), v)
}

// Int takes v, in the unit of the row m, which is of integers. A negative one fails.
func (s *Sample) Int(m *catalog.Metric, v int64, a *Attributes) {
	if v < 0 {
		s.Fail(fmt.Errorf("%s: %d cannot be", m.Name, v))
		return
	}
	row := s.to.row(m)
	row.ints = add(s.to, row.ints, m, a, a.ints.of(m), v)
}

// Try calls read, which may use a library that panics on input that it does not expect; that fails
// like an error.
func (s *Sample) Try(read func() error) {
	defer func() {
		if v := recover(); v != nil {
			s.Fail(fmt.Errorf("not understood: %v", v))
		}
	}()
	s.Fail(read())
}

// Fail reports a value that could not be read or understood. The error is counted, and its cause is
// logged once.
func (s *Sample) Fail(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// Note reports what is no failure of the source but should be known: it is logged once.
func (s *Sample) Note(text string) { s.notes = append(s.notes, text) }
