package pools

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Groups creates groups that are reported together under one name: a group lives as long as a
// request, the name as long as the program.
//
//	fanOut, err := pools.NewGroups("fan-out")  // once
//	…
//	g, ctx := fanOut.WithContext(ctx)          // per request
//
// All methods may be called concurrently.
type Groups struct {
	reg *instrument.Registration
	ran measure.Groups
}

// NewGroups returns Groups of a name, which must be unique among the live pools of the process; see
// [instrument.Observe].
func NewGroups(name string, opts ...instrument.Option) (*Groups, error) {
	s := new(Groups)
	s.ran.Init(instrument.TimingOf(opts...))
	var err error
	if s.reg, err = instrument.Observe(name, "group", s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// Group returns a new Group, like the zero one but reported.
func (s *Groups) Group() *Group {
	return &Group{set: &s.ran}
}

// WithContext is the function [WithContext] for a Group that is reported.
func (s *Groups) WithContext(ctx context.Context) (*Group, context.Context) {
	span := trace.SpanContextFromContext(ctx)
	g, ctx := WithContext(ctx)
	g.set, g.span = &s.ran, &span
	return g, ctx
}

// Stats returns a consistent snapshot of all groups together. Each group has its own limit, and
// there may be any number of groups, so Limit is absent. The wait is the time that Go was blocked,
// and a use begins when it ends. A function that did not return counts as exit: had it panicked,
// the program would have ended.
func (s *Groups) Stats() instrument.Stats { return s.ran.Stats() }

// Running returns the number of functions that are running.
func (s *Groups) Running() int { return s.ran.Running() }

// Close ends the report. Groups that are running are not affected.
func (s *Groups) Close() {
	s.ran.Close()
	s.reg.Close()
}
