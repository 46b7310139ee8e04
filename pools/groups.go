package pools

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Groups creates groups and reports them together under one name. A Group typically lasts for one
// request, whereas a Groups lasts as long as the program.
//
//	fanOut, err := pools.NewGroups("fan-out")  // once
//	…
//	g, ctx := fanOut.WithContext(ctx)          // per request
//
// All methods may be called concurrently.
type Groups struct {
	reg      *instrument.Registration
	measured measure.Groups
}

// NewGroups returns a Groups that is reported under name, which must be unique among the live pools
// of the process; see [instrument.Observe].
func NewGroups(name string, opts ...instrument.Option) (*Groups, error) {
	s := new(Groups)
	s.measured.Init(instrument.TimingOf(opts...))
	var err error
	if s.reg, err = instrument.Observe(name, "group", s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// Group returns a new Group that is like the zero Group, but reports metrics.
func (s *Groups) Group() *Group {
	return &Group{measured: &s.measured}
}

// WithContext is like the package-level [WithContext], but its Group reports metrics.
func (s *Groups) WithContext(ctx context.Context) (*Group, context.Context) {
	span := trace.SpanContextFromContext(ctx)
	g, ctx := WithContext(ctx)
	g.measured, g.span = &s.measured, &span
	return g, ctx
}

// Stats returns a consistent snapshot of all groups together. Limit is absent, since each group has
// its own limit and any number of groups may exist. A wait is the time for which a call to Go was
// blocked; the use begins when the wait ends. A function that ends without returning counts as
// exited, since a panic would have ended the program.
func (s *Groups) Stats() instrument.Stats { return s.measured.Stats() }

// Running returns the number of running functions.
func (s *Groups) Running() int { return s.measured.Running() }

// Close stops reporting the groups. Running groups are not affected.
func (s *Groups) Close() {
	s.measured.Close()
	s.reg.Close()
}
