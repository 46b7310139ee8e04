package pools

import (
	"context"
	"iter"

	"github.com/poolgauge/poolgauge/internal/callsite"
)

// Map calls fn on w for each item and yields the results in the order of the items, each with its
// error. For the first error leave the loop at it, and for all errors go on: what has not started
// then does not, and the context of what runs is canceled. The loop over the results ends when
// those that run have.
//
//	for thumbnail, err := range pools.Map(ctx, w, slices.Values(photos), shrink) { … }
//
// Memory is bounded: at most four times as many items as w has workers, or 16 if that is more, are
// on their way or wait to be yielded, and an item is pulled when there is room for it. Each is a
// task of the pool like any other, and waits its turn. Items are pulled in the goroutine of the
// loop, and no goroutine is started; so results wait while an item is awaited.
//
// The context of fn is derived from ctx. Close of the pool cancels it too, and the TaskTimeout of
// the pool holds for each item. When ctx ends, or the pool is closed, no more items are pulled, and
// the error is yielded for those that did not run. Within a task of the same pool the only thing
// yielded is [ErrDeadlock].
func Map[T, R any](
	ctx context.Context,
	w *Workers,
	items iter.Seq[T],
	fn func(context.Context, T) (R, error),
) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		if w.isInside(ctx) || w.isWorker() {
			var none R
			yield(none, w.errDeadlock)
			return
		}
		newCalls(ctx, w, fn, callsite.FuncOf(fn)).loop(items, yield)
	}
}

// ForEach calls fn on w for each item, in no order, and returns when all calls have ended. The
// first error cancels the context of the others and keeps those that have not started from it;
// ForEach returns it. For all errors, range over [Map]. Contexts and deadlocks are as there; at
// most as many items as there wait for a worker.
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
