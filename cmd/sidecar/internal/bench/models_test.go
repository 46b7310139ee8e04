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

func TestModelsRunEachTaskOnceWithBoundedConcurrency(t *testing.T) {
	const tasks = 30
	for _, m := range everyModel {
		synctest.Test(t, func(t *testing.T) {
			var running, peak, done atomic.Int64
			start := time.Now()
			err := m.run(t.Context(), tasks, func(context.Context) error {
				if n := running.Add(1); n > peak.Load() {
					peak.Store(n)
				}
				time.Sleep(time.Second)
				running.Add(-1)
				done.Add(1)
				return nil
			})
			wantPeak := int64(max(1, m.Size))
			if m.Kind == Goroutines {
				wantPeak = tasks
			}
			if err != nil || done.Load() != tasks || peak.Load() != wantPeak {
				t.Errorf(
					"%s: %d tasks completed, %d at a time, error %v; want %d, %d at a time",
					m,
					done.Load(),
					peak.Load(),
					err,
					tasks,
					wantPeak,
				)
			}
			want := time.Duration((tasks+wantPeak-1)/wantPeak) * time.Second
			if took := time.Since(start); took != want {
				t.Errorf("%s: took %v, want %v", m, took, want)
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
			t.Errorf("%s: got error %v, want %v", m, err, failed)
		}
	}
}

func TestModelsStopWhenTheirContextIsDone(t *testing.T) {
	for _, m := range everyModel {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			start := time.Now()
			err := m.run(ctx, 1000, func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Minute):
					return nil
				}
			})
			if m.Kind == Goroutines { // all tasks start immediately and complete after a minute
				return
			}
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 90*time.Second {
				t.Errorf("%s: error %v after %v, want the context's error within 90s", m, err, took)
			}
		})
	}
}
