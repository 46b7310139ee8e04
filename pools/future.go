package pools

import (
	"context"

	"github.com/poolgauge/poolgauge/internal/callsite"
)

// Future is the pending result of a function that runs on a worker. All methods may be called
// concurrently.
type Future[T any] struct {
	pool  *Workers
	fn    func(context.Context) (T, error)
	code  callsite.Func // identifies fn
	done  chan struct{} // closed when value and err are set
	value T
	err   error
}

// Do submits fn to w and returns a Future for its result. It blocks while there is no room, as
// [Workers.Submit] does; if submitting fails, the error becomes the result. The context passed to
// fn is the same as for a [Task].
func Do[T any](ctx context.Context, w *Workers, fn func(context.Context) (T, error)) *Future[T] {
	if fn == nil {
		panic(errNilTask)
	}
	f := &Future[T]{pool: w, fn: fn, code: callsite.FuncOf(fn), done: make(chan struct{})}
	if err := w.submit(ctx, f, w.taskContext(ctx)); err != nil {
		f.finish(err)
	}
	return f
}

// run implements job. It propagates a panic to the worker, which counts and reports it.
func (f *Future[T]) run(ctx context.Context) error {
	returned := false
	defer func() {
		if !returned {
			value := recover()
			err := newPanicError(f.pool.name, value)
			f.finish(err)
			if value != nil {
				panic(err)
			}
		}
	}()
	value, err := f.fn(ctx)
	returned = true
	f.value = value
	f.finish(err)
	return err
}

func (f *Future[T]) function() callsite.Func { return f.code }

// drop implements job. It completes f with an error, since Close dropped the function before it
// ran.
func (f *Future[T]) drop() { f.finish(f.pool.errClosed) }

// finish completes f with err and wakes all callers of Wait.
func (f *Future[T]) finish(err error) {
	f.fn = nil // so that it can be garbage-collected
	f.err = err
	close(f.done)
}

// Wait waits until the function has ended, and returns its result. The error is a [*PanicError] if
// the function panicked or called [runtime.Goexit], and wraps [ErrClosed] if Close dropped the
// function. If ctx is done first, Wait returns ctx.Err(), and the function keeps running. If a task
// of the same pool calls Wait, it returns [ErrDeadlock] instead of waiting; see [Workers].
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if f.isDone() {
		return f.value, f.err
	}
	var zero T
	if f.pool.isInside(ctx) || f.pool.isBusy() && f.pool.isWorker() {
		return zero, f.pool.errDeadlock
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

func (f *Future[T]) isDone() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
