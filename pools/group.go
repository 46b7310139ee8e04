package pools

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/internal/measure"
)

// Group is a collection of goroutines that work on subtasks of one task, with the API and the
// semantics of [golang.org/x/sync/errgroup.Group]: only the import path changes. A Group should not
// be reused for different tasks.
//
// A zero Group is valid, has no limit, does not cancel on error, and reports no metrics. A Group
// created by [Groups] reports metrics. A panic in a function ends the program, as in any goroutine;
// a Group that recovered the panic would hide it until Wait.
type Group struct {
	cancel   func(error)
	wg       sync.WaitGroup
	slots    chan struct{} // nil if there is no limit
	once     sync.Once
	err      error
	measured *measure.Groups    // nil if the group reports no metrics
	span     *trace.SpanContext // span in which the group was created; nil if unknown or not needed
}

// WithContext returns a new Group and a Context derived from ctx. The Context is canceled the first
// time a function passed to Go returns a non-nil error or the first time Wait returns, whichever
// occurs first.
func WithContext(ctx context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{cancel: cancel}, ctx
}

// Wait blocks until all function calls from Go have returned, then returns the first non-nil error
// from them, if any.
func (g *Group) Wait() error {
	g.wg.Wait()
	if g.cancel != nil {
		g.cancel(g.err)
	}
	return g.err
}

// Go calls f in a new goroutine. It blocks until the new goroutine can be added without exceeding
// the limit. The first call to Go must happen before Wait is called.
//
// The first call that returns a non-nil error cancels the Context of the Group, if there is one,
// and Wait returns that error.
func (g *Group) Go(f func() error) {
	if g.slots == nil || g.take() {
		g.start(f, nil)
		return
	}
	blocked := g.measured.Block()
	g.slots <- struct{}{}
	g.start(f, blocked)
}

// TryGo calls f in a new goroutine if that does not exceed the limit. It reports whether the
// goroutine was started.
func (g *Group) TryGo(f func() error) bool {
	if g.slots != nil && !g.take() {
		g.measured.Reject()
		return false
	}
	g.start(f, nil)
	return true
}

// SetLimit limits the number of active goroutines of the Group to n. A negative n removes the
// limit; with 0, Go blocks and TryGo starts nothing. SetLimit must not be called while goroutines
// are active, and panics if it finds one.
func (g *Group) SetLimit(n int) {
	if n < 0 {
		g.slots = nil
		return
	}
	if active := len(g.slots); active != 0 {
		panic(fmt.Errorf("pools: limit of a group changed to %d while %d of its goroutines are active", n, active))
	}
	g.slots = make(chan struct{}, n)
}

// take takes a slot if one is free, and reports whether it did.
func (g *Group) take() bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// start calls f in a new goroutine. If the group has a limit, the caller must have taken a slot.
// blocked is the wait for that slot, or nil if there was none.
func (g *Group) start(f func() error, blocked *measure.Pended) {
	g.wg.Add(1)
	c, ok := groupCalls.Get().(*groupCall)
	if !ok {
		c = new(groupCall)
		c.call = c.do
	}
	c.group, c.run.Func = g, f
	if g.measured != nil {
		c.run.Span = g.span
		if blocked == nil {
			g.measured.Start(&c.run)
		} else {
			g.measured.Unblock(blocked, &c.run)
		}
	}
	go c.call()
}

// groupCall is one call to a function passed to Go or TryGo. Values are reused to save allocations.
type groupCall struct {
	group *Group
	run   measure.Run
	call  func() // method value of do
}

var groupCalls sync.Pool

func (c *groupCall) do() {
	g := c.group
	defer g.done()
	var err error
	if g.measured == nil {
		f := c.run.Func
		c.free()
		err = f()
	} else {
		defer c.free() // the run uses c until it ends
		err = g.measured.Call(&c.run)
	}
	if err != nil {
		g.fail(err)
	}
}

func (c *groupCall) free() {
	c.group, c.run = nil, measure.Run{}
	groupCalls.Put(c)
}

func (g *Group) fail(err error) {
	g.once.Do(func() {
		g.err = err
		if g.cancel != nil {
			g.cancel(err)
		}
	})
}

func (g *Group) done() {
	if g.slots != nil {
		<-g.slots
	}
	g.wg.Done()
}
