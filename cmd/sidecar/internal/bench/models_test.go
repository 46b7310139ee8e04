package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var everyModel = []Model{{Sequential, 1}, {Goroutines, 0}, {Workers, 4}, {Semaphore, 4}, {Batches, 4}}

func TestModelsRunEachTaskOnceAndNoMoreAtATime(t *testing.T) {
	const tasks = 30
	for _, m := range everyModel {
		synctest.Test(t, func(t *testing.T) {
			var inside, most, done atomic.Int64
			begin := time.Now()
			err := m.run(t.Context(), tasks, func(context.Context) error {
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Second)
				inside.Add(-1)
				done.Add(1)
				return nil
			})
			atATime := int64(max(1, m.Size))
			if m.Kind == Goroutines {
				atATime = tasks
			}
			if err != nil || done.Load() != tasks || most.Load() != atATime {
				t.Errorf(
					"%s: %d tasks, %d at a time, %v, expected %d, %d at a time",
					m,
					done.Load(),
					most.Load(),
					err,
					tasks,
					atATime,
				)
			}
			want := time.Duration((tasks+atATime-1)/atATime) * time.Second
			if took := time.Since(begin); took != want {
				t.Errorf("%s: took %v, expected %v", m, took, want)
			}
		})
	}
}

func TestModelsReturnTheErrorOfATask(t *testing.T) {
	failed := errors.New("no route to host")
	for _, m := range everyModel {
		var n atomic.Int64
		err := m.run(t.Context(), 20, func(context.Context) error {
			if n.Add(1) == 7 {
				return failed
			}
			return nil
		})
		if !errors.Is(err, failed) {
			t.Errorf("%s: %v, expected %v", m, err, failed)
		}
	}
}

func TestModelsEndWithTheirContext(t *testing.T) {
	for _, m := range everyModel {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			begin := time.Now()
			err := m.run(ctx, 1000, func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Minute):
					return nil
				}
			})
			if m.Kind == Goroutines { // all tasks begin at once and have ended by then
				return
			}
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 90*time.Second {
				t.Errorf("%s: %v after %v, expected to end with its context", m, err, time.Since(begin))
			}
		})
	}
}
