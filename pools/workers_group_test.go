package pools_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

func TestTaskGroupReturnsFirstErrorAndCancelsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 4, pools.WorkersConfig{})
		g, ctx := p.Group(context.WithValue(t.Context(), ctxKey{}, "trace"))
		start := time.Now()
		g.Go(func(context.Context) error {
			time.Sleep(time.Second)
			return errTask
		})
		g.Go(func(ctx context.Context) error {
			if ctx.Value(ctxKey{}) != "trace" {
				t.Error("the task's context does not have the values of the group's context")
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err := g.Wait(); !errors.Is(err, errTask) || time.Since(start) != time.Second {
			t.Errorf("Wait: error %v after %v, want errTask after 1 s", err, time.Since(start))
		}
		if !errors.Is(context.Cause(ctx), errTask) {
			t.Errorf("the group's context ended with cause %v, want errTask", context.Cause(ctx))
		}
		g.Go(func(context.Context) error { t.Error("a task ran after the group had ended"); return nil })
		if err := g.Wait(); !errors.Is(err, errTask) {
			t.Errorf("second Wait: error %v, want errTask", err)
		}
	})
}

func TestTaskGroupsShareThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{Queue: 1})
		var running, peak, ran atomic.Int64
		done := make(chan error, 3)
		for range 3 {
			go func() {
				g, ctx := p.Group(t.Context())
				for range 10 {
					g.Go(func(context.Context) error {
						peak.Store(max(peak.Load(), running.Add(1)))
						time.Sleep(time.Second)
						running.Add(-1)
						ran.Add(1)
						return nil
					})
				}
				done <- g.Wait()
				if ctx.Err() == nil {
					t.Error("the group's context is not canceled after Wait")
				}
			}()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Errorf("Wait: %v", err)
			}
		}
		if peak.Load() != 2 || ran.Load() != 30 {
			t.Errorf("%d tasks ran, at most %d at a time; want 30, 2 at a time", ran.Load(), peak.Load())
		}
	})
}

func TestTaskGroupTaskPanicsOrExits(t *testing.T) {
	for ending, task := range map[instrument.Ending]pools.Task{
		instrument.Panicked: func(context.Context) error { panic(1) },
		instrument.Exited:   func(context.Context) error { runtime.Goexit(); return nil },
	} {
		name := ending.String()
		p, err := pools.NewWorkers(name, 1, pools.WorkersConfig{OnPanic: func(*pools.PanicError) {}})
		if err != nil {
			t.Fatal(err)
		}
		g, _ := p.Group(t.Context())
		g.Go(task)
		var e *pools.PanicError
		if err := g.Wait(); !errors.As(err, &e) {
			t.Errorf("%s: Wait returned %v, want a PanicError", name, err)
		}
		p.Close() // waits until the task has been counted
		if s := p.Stats(); s.Completed[ending].Or(0) != 1 {
			t.Errorf("%s: completed %v, want 1 with this ending", name, s.Completed)
		}
	}
}

func TestTaskGroupPoolClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		g, ctx := p.Group(t.Context())
		for range 3 {
			g.Go(func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
		}
		time.AfterFunc(time.Second, p.Close)
		if err := g.Wait(); !errors.Is(err, pools.ErrClosed) || !errors.Is(context.Cause(ctx), pools.ErrClosed) {
			t.Errorf(
				"Wait: error %v, cause of the group's context %v; want ErrClosed for both",
				err,
				context.Cause(ctx),
			)
		}
	})
}
