package wrap

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/callsite"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Groups makes groups of golang.org/x/sync/errgroup that are reported together, under one name: a
// group lives as long as a request, a name as long as the program.
type Groups struct {
	reg   *instrument.Registration
	ran   measure.Groups
	calls sync.Pool // of *call
}

// Group is an [errgroup.Group] whose functions are reported.
type Group struct {
	*errgroup.Group
	set  *Groups
	span *trace.SpanContext // that it is part of; nil if that is not known
}

// NewGroups returns Groups of a name, which report as the kind group
//
//   - the functions that run (used), how long each ran, and whether it returned nil (ok), an error
//     (error) or called runtime.Goexit (exit); a panic ends the program,
//   - how that time is divided into on a CPU, ready and blocked, of a sample of short ones, on
//     Linux,
//   - callers that a limit blocks in Go, since when and for how long, and calls of TryGo that were
//     refused.
//
// Each group has its own limit, and there may be any number of groups, so there is no limit of all.
// Programs that need not keep x/sync have the same in pools.NewGroups.
func NewGroups(name string, opts ...instrument.Option) (*Groups, error) {
	s := new(Groups)
	s.ran.Init(instrument.TimingOf(opts...))
	s.calls.New = func() any {
		c := &call{set: s}
		c.do = c.called
		return c
	}
	var err error
	if s.reg, err = instrument.Observe(name, "group", s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// WithContext is [errgroup.WithContext] for a group that is reported.
func (s *Groups) WithContext(ctx context.Context) (*Group, context.Context) {
	span := trace.SpanContextFromContext(ctx)
	g, ctx := errgroup.WithContext(ctx)
	return &Group{Group: g, set: s, span: &span}, ctx
}

// Group returns g as a group that is reported: new(errgroup.Group), or one that is in use.
func (s *Groups) Group(g *errgroup.Group) *Group {
	return &Group{Group: g, set: s}
}

// Go is [errgroup.Group.Go].
func (g *Group) Go(f func() error) {
	c := g.call(f)
	if !g.Group.TryGo(c.do) { // which takes a slot when Go would not have blocked
		c.blocked = g.set.ran.Block()
		g.Group.Go(c.do)
	}
}

// TryGo is [errgroup.Group.TryGo].
func (g *Group) TryGo(f func() error) bool {
	c := g.call(f)
	if !g.Group.TryGo(c.do) {
		g.set.ran.Reject()
		c.free()
		return false
	}
	return true
}

// call is one call of a function. They are used again, which saves allocations: an errgroup calls
// what it is given once.
type call struct {
	set     *Groups
	f       func() error
	blocked *measure.Pended // nil if the caller is not
	run     measure.Run
	do      func() error // called, as a function
}

func (g *Group) call(f func() error) *call {
	c, _ := g.set.calls.Get().(*call)
	c.f, c.run.Func, c.run.Span = f, callsite.FuncOf(f), g.span
	return c
}

func (c *call) free() {
	c.f, c.blocked, c.run = nil, nil, measure.Run{}
	c.set.calls.Put(c)
}

func (c *call) called() error {
	defer c.free()
	ran := &c.set.ran
	if c.blocked != nil {
		ran.Unblock(c.blocked, &c.run)
	} else {
		ran.Start(&c.run)
	}
	return ran.Call(&c.run, c.f)
}

// Running returns how many functions run now.
func (s *Groups) Running() int { return s.ran.Running() }

// Stats returns what all groups together have done and are doing, all of one moment. The use of a
// function begins when it runs; until then a caller that was blocked is pending.
func (s *Groups) Stats() instrument.Stats { return s.ran.Stats() }

// Close ends the report. Groups that are at work go on.
func (s *Groups) Close() {
	s.ran.Close()
	s.reg.Close()
}
