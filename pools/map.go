package pools

import (
	"context"
	"iter"

	"github.com/poolgauge/poolgauge/internal/callsite"
)

// Map calls fn on w for each item and yields the results in the order of the items, each with its
// error. Break out of the loop to stop at the first error: Map then drops calls that have not
// started, cancels the context of running calls, and waits until they have returned.
//
//	for thumbnail, err := range pools.Map(ctx, w, slices.Values(photos), shrink) { … }
//
// Memory is bounded: Map pulls at most four items per worker, or 16 if that is more, ahead of the
// results that it has yielded. Each call is a task of the pool like any other and waits its turn.
// Map pulls items in the goroutine of the loop, so it yields no results while it waits for an item.
//
// The context passed to fn is derived from ctx. It is also canceled when the pool is closed, and
// the pool's TaskTimeout applies to each call. When ctx is done or the pool is closed, Map pulls no
// more items, and yields an error for each pulled item whose call did not start. If a task of the
// same pool calls Map, it yields only [ErrDeadlock].
func Map[T, R any](
	ctx context.Context,
	w *Workers,
	items iter.Seq[T],
	fn func(context.Context, T) (R, error),
) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		if w.isInside(ctx) || w.isWorker() {
			var zero R
			yield(zero, w.errDeadlock)
			return
		}
		newCalls(ctx, w, fn, callsite.FuncOf(fn)).loop(items, yield)
	}
}

// ForEach calls fn on w for each item, in no particular order, and returns when all calls have
// returned. The first error cancels the context of the other calls and prevents further calls from
// starting; ForEach returns that error. To get all errors, range over [Map]. ForEach handles
// contexts, detects deadlocks and bounds memory as Map does.
func ForEach[T any](ctx context.Context, w *Workers, items iter.Seq[T], fn func(context.Context, T) error) error {
	if w.isInside(ctx) || w.isWorker() {
		return w.errDeadlock
	}
	call := func(ctx context.Context, item T) (struct{}, error) { return struct{}{}, fn(ctx, item) }
	c := newCalls(ctx, w, call, callsite.FuncOf(fn))
	c.unordered = true
	defer c.abandon()
	for item := range items {
		if !c.hasRoom() || !c.put(item) {
			break
		}
	}
	return c.drain()
}
