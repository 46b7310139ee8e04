package pools

import (
	"context"
	"iter"
	"sync/atomic"
)

// Map calls fn on w for each item and yields the results in the order of the items, each with its error. Whoever wants the first
// error leaves the loop at it, and whoever wants all errors goes on: what has not started then does not, and the context of what runs
// is canceled. The loop over the results ends when those that run have.
//
//	for thumbnail, err := range pools.Map(ctx, w, slices.Values(photos), shrink) { … }
//
// Memory is bounded: at most twice as many items as w has workers are on their way or wait to be yielded, and an item is
// pulled when there is room for it. Items are pulled in the goroutine of the loop, and no goroutine is started; so results wait while
// an item is awaited.
//
// The context of fn is derived from ctx. Close of the pool cancels it too, and the TaskTimeout of the pool holds for each item. When ctx
// ends, or the pool is closed, no more items are pulled, and the error is yielded for those that did not run. With the context of a
// task of the same pool the only thing yielded is [ErrDeadlock].
func Map[T, R any](ctx context.Context, w *Workers, items iter.Seq[T], fn func(context.Context, T) (R, error)) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		if w.isInside(ctx) {
			var none R
			yield(none, w.errDeadlock)
			return
		}
		m := newMapping(ctx, w, fn)
		defer m.leave()
		if m.pull(items, yield) {
			m.yieldWhile(m.isBusy, yield)
		}
	}
}

// ForEach calls fn on w for each item and returns when all calls have ended. The first error cancels the context of the others and keeps
// those that have not started from it; ForEach returns it. For all errors, range over [Map]. Memory, contexts and deadlocks are as there.
func ForEach[T any](ctx context.Context, w *Workers, items iter.Seq[T], fn func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, err := range Map(ctx, w, items, func(ctx context.Context, item T) (struct{}, error) {
		err := fn(ctx, item)
		if err != nil {
			cancel(err)
		}
		return struct{}{}, err
	}) {
		if err != nil {
			cancel(err)
			return context.Cause(ctx)
		}
	}
	return nil
}

// mapping is one loop over the results of Map. The goroutine of the loop owns it.
type mapping[T, R any] struct {
	pool    *Workers
	fn      func(context.Context, T) (R, error)
	outside context.Context // that of Map, until the loop is left or the pool is closed
	ctx     context.Context // the same for the calls of fn
	leave   func()
	size    int           // of the window
	window  []*mapCall[R] // in the order of the items
}

// mapCall is a call of fn. It belongs to whoever sets claimed: the worker that makes it, or the loop that gives it up.
type mapCall[R any] struct {
	Future[R]
	claimed atomic.Bool
}

func newMapping[T, R any](ctx context.Context, w *Workers, fn func(context.Context, T) (R, error)) *mapping[T, R] {
	ctx, cancel := context.WithCancelCause(ctx)
	unbind := context.AfterFunc(w.ctx, func() { cancel(w.errClosed) })
	m := &mapping[T, R]{pool: w, fn: fn, outside: ctx, ctx: w.inside(ctx), size: 2 * w.size()}
	m.leave = func() {
		unbind()
		cancel(nil)
		m.yieldWhile(m.isBusy, func(R, error) bool { return true })
	}
	return m
}

// pull submits the items and yields what is due meanwhile. It reports false if the loop was left.
func (m *mapping[T, R]) pull(items iter.Seq[T], yield func(R, error) bool) bool {
	for item := range items {
		if !m.yieldWhile(m.isDue, yield) {
			return false
		}
		if !m.submit(item) {
			break
		}
	}
	return true
}

// yieldWhile yields results. It reports false if the loop was left.
func (m *mapping[T, R]) yieldWhile(more func() bool, yield func(R, error) bool) bool {
	for more() {
		if !yield(m.next()) {
			return false
		}
	}
	return true
}

// isDue reports whether a result must or can be yielded before an item is pulled.
func (m *mapping[T, R]) isDue() bool {
	return len(m.window) >= m.size || m.isBusy() && m.window[0].isDone()
}

func (m *mapping[T, R]) isBusy() bool {
	return len(m.window) > 0
}

// submit puts an item into the window. It reports false if no more are wanted.
func (m *mapping[T, R]) submit(item T) bool {
	c := &mapCall[R]{Future: Future[R]{pool: m.pool, done: make(chan struct{})}}
	m.window = append(m.window, c)
	err := m.pool.Submit(m.outside, func(task context.Context) error {
		if !c.claimed.CompareAndSwap(false, true) {
			return context.Cause(m.ctx)
		}
		return c.run(task, func(task context.Context) (R, error) { return m.call(task, item) })
	})
	if err != nil {
		c.err = err
		if cause := context.Cause(m.ctx); cause != nil {
			c.err = cause
		}
		close(c.done)
	}
	return err == nil
}

// call is what a worker does. The context of the task says nothing that the mapping's does not but the deadline.
func (m *mapping[T, R]) call(task context.Context, item T) (R, error) {
	ctx := m.ctx
	if deadline, ok := task.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	if ctx.Err() != nil {
		var none R
		return none, context.Cause(ctx)
	}
	return m.fn(ctx, item)
}

// next takes the first call out of the window and returns its result.
func (m *mapping[T, R]) next() (R, error) {
	c := m.window[0]
	m.window[0] = nil
	m.window = m.window[1:]
	select {
	case <-c.done:
		return c.value, c.err
	case <-m.ctx.Done():
	}
	if c.claimed.CompareAndSwap(false, true) {
		var none R
		return none, context.Cause(m.ctx)
	}
	<-c.done
	return c.value, c.err
}
