package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/poolgauge/poolgauge/pools"
)

// Model is a way to run many tasks. Only this file uses package pools.
type Model struct {
	Kind string // sequential, goroutines, workers, semaphore or batches
	Size int    // maximum number of concurrent tasks; 0: unbounded
}

// The kinds of models.
const (
	Sequential = "sequential"
	Goroutines = "goroutines"
	Workers    = "workers"
	Semaphore  = "semaphore"
	Batches    = "batches"
)

func (m Model) String() string {
	if m.Size < 2 {
		return m.Kind
	}
	return fmt.Sprintf("%s × %d", m.Kind, m.Size)
}

// task performs one task.
type task func(ctx context.Context) error

// run starts n tasks in order, waits for all of them and returns the first error.
func (m Model) run(ctx context.Context, n int, t task) error {
	switch m.Kind {
	case Goroutines:
		return inBatches(ctx, n, n, t)
	case Workers:
		return onWorkers(ctx, m.Size, n, t)
	case Semaphore:
		return behindSemaphore(ctx, m.Size, n, t)
	case Batches:
		return inBatches(ctx, m.Size, n, t)
	default:
		for range n {
			if err := t(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// firstError keeps the first error of several goroutines.
type firstError struct {
	once sync.Once
	err  error
}

func (f *firstError) keep(err error) {
	if err != nil {
		f.once.Do(func() { f.err = err })
	}
}

// inBatches runs one batch of goroutines after another. It needs memory for one batch only, but
// each batch waits for the slowest task of the previous one.
func inBatches(ctx context.Context, size, n int, t task) error {
	var first firstError
	for left := n; left > 0 && ctx.Err() == nil; left -= size {
		var wg sync.WaitGroup
		for range min(size, left) {
			wg.Go(func() { first.keep(t(ctx)) })
		}
		wg.Wait()
	}
	return errors.Join(first.err, ctx.Err())
}

func onWorkers(ctx context.Context, size, n int, t task) error {
	pool, err := pools.NewWorkers("bench", size, pools.WorkersConfig{})
	if err != nil {
		return err
	}
	defer pool.Close()
	var first firstError
	// The pool's context is ignored, since it carries values that the contexts of the other models
	// lack.
	run := func(context.Context) error {
		err := t(ctx)
		first.keep(err)
		return err
	}
	for range n {
		if err := pool.Submit(ctx, run); err != nil {
			return err
		}
	}
	if err := pool.Shutdown(ctx); err != nil {
		return err
	}
	return first.err
}

func behindSemaphore(ctx context.Context, size, n int, t task) error {
	permits, err := pools.NewSemaphore("bench", int64(size), pools.SemaphoreConfig{})
	if err != nil {
		return err
	}
	defer permits.Close()
	var first firstError
	var wg sync.WaitGroup
	defer wg.Wait()
	for range n {
		if err := permits.Acquire(ctx, 1); err != nil {
			return err
		}
		wg.Go(func() {
			defer permits.Release(1)
			first.keep(t(ctx))
		})
	}
	wg.Wait()
	return first.err
}
