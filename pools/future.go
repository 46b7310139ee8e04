package pools

import "context"

// Future is the result of a function that runs on a worker. All methods may be called concurrently.
type Future[T any] struct {
	pool  *Workers
	done  chan struct{} // closed when value and err are there
	value T
	err   error
}

// Do submits fn to w and returns its result to come. It blocks while the queue is full, as [Workers.Submit] does; if that fails,
// the error is the result. The context of fn is that of a task, not ctx.
func Do[T any](ctx context.Context, w *Workers, fn func(context.Context) (T, error)) *Future[T] {
	f := &Future[T]{pool: w, done: make(chan struct{})}
	err := w.Submit(ctx, func(ctx context.Context) error { return f.run(ctx, fn) })
	if err != nil {
		f.err = err
		close(f.done)
	}
	return f
}

// run is the task. A panic goes on to the worker, which counts and reports it.
func (f *Future[T]) run(ctx context.Context, fn func(context.Context) (T, error)) error {
	returned := false
	defer func() {
		if returned {
			close(f.done)
			return
		}
		value := recover()
		err := newPanicError(f.pool.name, value)
		f.err = err
		close(f.done)
		if value != nil {
			panic(err)
		}
	}()
	f.value, f.err = fn(ctx)
	returned = true
	return f.err
}

// Wait returns the result of the function once it has ended: a [*PanicError] if it did not return, and an error that wraps [ErrClosed]
// if Close dropped it. If ctx ends first it returns the error of ctx, and the function goes on. With the context of a task of
// the same pool it returns [ErrDeadlock] if the result is not there yet.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if f.isDone() {
		return f.value, f.err
	}
	var none T
	if f.pool.isInside(ctx) {
		return none, f.pool.errDeadlock
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-f.pool.drained:
	}
	if f.isDone() {
		return f.value, f.err
	}
	return none, f.pool.errClosed
}

func (f *Future[T]) isDone() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
