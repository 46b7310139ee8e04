package wrap

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Groups creates instrumented groups of golang.org/x/sync/errgroup and reports them together under
// one name. A group typically lasts for one request, whereas a Groups lasts as long as the program.
type Groups struct {
	reg      *instrument.Registration
	measured measure.Groups
	calls    sync.Pool // of *call
}

// Group is an instrumented [errgroup.Group].
type Group struct {
	*errgroup.Group
	set  *Groups
	span *trace.SpanContext // the span that the group is part of; nil if unknown
}

// NewGroups returns a Groups that is reported under name, as a pool of the kind group, with
//
//   - the functions that are running (used), how long each ran, and whether it returned nil (ok),
//     returned an error (error) or called runtime.Goexit (exit). A panic terminates the program,
//   - on Linux, how much of that time was spent on a CPU, ready to run, and blocked, estimated from
//     a sample of short functions,
//   - callers that are blocked in Go by a limit, how long the oldest has been blocked, and how long
//     each was blocked; and calls to TryGo that returned false.
//
// Each group has its own limit, and there may be any number of groups, so no limit is reported.
// Programs that need not keep x/sync can use pools.NewGroups instead.
func NewGroups(name string, opts ...instrument.Option) (*Groups, error) {
	s := new(Groups)
	s.measured.Init(instrument.TimingOf(opts...))
	s.calls.New = func() any {
		c := &call{set: s}
		c.do = c.invoke
		return c
	}
	var err error
	if s.reg, err = instrument.Observe(name, "group", s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// WithContext is like [errgroup.WithContext], but returns an instrumented group.
func (s *Groups) WithContext(ctx context.Context) (*Group, context.Context) {
	span := trace.SpanContextFromContext(ctx)
	g, ctx := errgroup.WithContext(ctx)
	return &Group{Group: g, set: s, span: &span}, ctx
}

// Group returns an instrumented group that wraps g, which may be new(errgroup.Group) or already in
// use.
func (s *Groups) Group(g *errgroup.Group) *Group {
	return &Group{Group: g, set: s}
}

// Go is like [errgroup.Group.Go].
func (g *Group) Go(f func() error) {
	c := g.call(f)
	if !g.Group.TryGo(c.do) { // succeeds if Go would not block
		c.blocked = g.set.measured.Block()
		g.Group.Go(c.do)
	}
}

// TryGo is like [errgroup.Group.TryGo].
func (g *Group) TryGo(f func() error) bool {
	c := g.call(f)
	if !g.Group.TryGo(c.do) {
		g.set.measured.Reject()
		c.free()
		return false
	}
	return true
}

// call is one call to a function. Calls are pooled to save allocations, which is safe because an
// errgroup calls each function exactly once.
type call struct {
	set     *Groups
	blocked *measure.Pended // nil if the caller is not blocked
	run     measure.Run
	do      func() error // method value of invoke
}

// call takes a call from the pool and sets it up to run f.
func (g *Group) call(f func() error) *call {
	c, _ := g.set.calls.Get().(*call)
	c.run.Func, c.run.Span = f, g.span
	return c
}

// free returns c to the pool of calls.
func (c *call) free() {
	c.blocked, c.run = nil, measure.Run{}
	c.set.calls.Put(c)
}

// invoke calls the function and measures it.
func (c *call) invoke() error {
	defer c.free()
	m := &c.set.measured
	if c.blocked != nil {
		m.Unblock(c.blocked, &c.run)
	} else {
		m.Start(&c.run)
	}
	return m.Call(&c.run)
}

// Running returns the number of running functions.
func (s *Groups) Running() int { return s.measured.Running() }

// Stats returns a consistent snapshot of all groups together. A use begins when its function
// starts; until then a blocked caller counts as pending.
func (s *Groups) Stats() instrument.Stats { return s.measured.Stats() }

// Close stops reporting the groups. Running groups are not affected.
func (s *Groups) Close() {
	s.measured.Close()
	s.reg.Close()
}
