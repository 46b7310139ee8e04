package pools_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

func TestForEachReturnsFirstErrorAndCancelsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 4, pools.WorkersConfig{})
		var pulled int
		var running atomic.Int64
		start := time.Now()
		err := pools.ForEach(t.Context(), p, count(1000, &pulled), func(ctx context.Context, i int) error {
			running.Add(1)
			defer running.Add(-1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(10-i) * time.Second):
				return fmt.Errorf("item %d: %w", i, errTask)
			}
		})
		if !errors.Is(err, errTask) || !strings.Contains(err.Error(), "item 3") || time.Since(start) != 7*time.Second {
			t.Errorf("error %v after %v, want that of item 3 after 7 s", err, time.Since(start))
		}
		if running.Load() != 0 || pulled > 25 {
			t.Errorf("%d calls still running and %d items pulled, want 0 and at most 25", running.Load(), pulled)
		}
	})
}

func TestForEachCallsEveryItem(t *testing.T) {
	p := newWorkers(t, 4, pools.WorkersConfig{Queue: 2})
	var sum atomic.Int64
	var pulled int
	err := pools.ForEach(t.Context(), p, count(10_000, &pulled), func(_ context.Context, i int) error {
		sum.Add(int64(i))
		return nil
	})
	if err != nil || sum.Load() != 9999*10_000/2 {
		t.Errorf("sum %d, error %v; want %d and none", sum.Load(), err, 9999*10_000/2)
	}
}

func TestForEachCallPanicsOrExits(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{OnPanic: func(*pools.PanicError) {}})
	for name, fn := range map[string]func(context.Context, int) error{
		"panic": func(context.Context, int) error { panic(1) },
		"exit":  func(context.Context, int) error { runtime.Goexit(); return nil },
	} {
		var e *pools.PanicError
		if err := pools.ForEach(t.Context(), p, slices.Values([]int{1, 2, 3}), fn); !errors.As(err, &e) {
			t.Errorf("%s: error %v, want a PanicError", name, err)
		}
	}
	p.Close() // waits until both calls have been counted
	if s := p.Stats(); s.Completed[instrument.Panicked].Or(0) != 1 || s.Completed[instrument.Exited].Or(0) != 1 {
		t.Errorf("completed %v, want 1 panicked and 1 exited", s.Completed)
	}
}

func TestForEachBoundsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		var pulled int
		begun := 0
		_ = pools.ForEach(t.Context(), p, count(100, &pulled), func(context.Context, int) error {
			begun++
			synctest.Wait()                            // until ForEach has pulled as many items as it may
			if ahead := pulled - begun; ahead > 16+1 { // one item was pulled and waits for room
				t.Errorf("%d items were pulled ahead of the calls with 1 worker, want at most 17", ahead)
			}
			return nil
		})
	})
}

// Regression: a slow call kept ForEach from starting others, as if order mattered.
func TestForEachContinuesDuringSlowCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{})
		start := time.Now()
		var pulled int
		err := pools.ForEach(t.Context(), p, count(101, &pulled), func(_ context.Context, i int) error {
			if i == 0 {
				time.Sleep(100 * time.Second)
			} else {
				time.Sleep(time.Second)
			}
			return nil
		})
		if took := time.Since(start); err != nil || took != 100*time.Second {
			t.Errorf("ForEach took %v, error %v; want 100 s, the duration of the slow call", took, err)
		}
	})
}

func TestForEachContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		mustSubmit(t, p, sleep(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		for _, n := range []int{1, 1000} {
			var pulled int
			err := pools.ForEach(ctx, p, count(n, &pulled), func(context.Context, int) error {
				t.Error("fn was called after the context was done")
				return nil
			})
			if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf(
					"ForEach of %d items ended after %v with error %v, want DeadlineExceeded after 1 s",
					n,
					took,
					err,
				)
			}
		}
		time.Sleep(2 * time.Hour)
	})
}
