package pools_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

func TestFutureReturnsResult(t *testing.T) {
	p := newWorkers(t, 2, pools.WorkersConfig{})
	for _, want := range []error{nil, errTask} {
		f := pools.Do(t.Context(), p, func(context.Context) (int, error) { return 42, want })
		for range 2 {
			if v, err := f.Wait(t.Context()); v != 42 || !errors.Is(err, want) {
				t.Errorf("Wait: %d, %v; want 42, %v", v, err, want)
			}
		}
	}
}

func TestFutureFunctionPanicsOrExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports []*pools.PanicError
		p := newWorkers(t, 1, pools.WorkersConfig{OnPanic: func(e *pools.PanicError) { reports = append(reports, e) }})
		panics := pools.Do(t.Context(), p, func(context.Context) (int, error) { return 1, taskThatPanics("why") })
		exits := pools.Do(t.Context(), p, func(ctx context.Context) (int, error) { return 1, taskThatExits(ctx) })
		for name, f := range map[string]*pools.Future[int]{"why": panics, "Goexit": exits} {
			_, err := f.Wait(t.Context())
			var e *pools.PanicError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), name) ||
				!strings.Contains(string(e.Stack), "taskThat") {
				t.Errorf("%s: error %v, want a PanicError with the function's stack", name, err)
			}
		}
		synctest.Wait()
		if len(reports) != 2 || !strings.Contains(string(reports[0].Stack), "taskThatPanics") {
			t.Errorf("OnPanic was called with %v, want 2 errors, the first with the function's stack", reports)
		}
		if s := p.Stats(); s.Completed[instrument.Panicked].Or(0) != 1 || s.Completed[instrument.Exited].Or(0) != 1 {
			t.Errorf("completed %v, want 1 panicked and 1 exited", s.Completed)
		}
	})
}

func TestFutureWaitContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		f := pools.Do(t.Context(), p, func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 1, nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: error %v, want DeadlineExceeded", err)
		}
		if v, err := f.Wait(t.Context()); v != 1 || err != nil {
			t.Errorf("Wait again: %d, %v; want 1, <nil>", v, err)
		}
	})
}

func TestFutureWaitWithinOwnPool(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	f := pools.Do(t.Context(), p, func(ctx context.Context) (int, error) {
		return pools.Do(ctx, p, func(context.Context) (int, error) { return 1, nil }).Wait(ctx)
	})
	if _, err := f.Wait(t.Context()); !errors.Is(err, pools.ErrDeadlock) {
		t.Errorf("Wait within a task of the same pool: error %v, want ErrDeadlock", err)
	}
}

func TestDoAfterClose(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	p.Close()
	if _, err := pools.Do(t.Context(), p, func(context.Context) (int, error) { return 1, nil }).
		Wait(t.Context()); !errors.Is(
		err,
		pools.ErrClosed,
	) {
		t.Errorf("Wait: error %v, want ErrClosed", err)
	}
}

// count yields 0 to n-1, and keeps pulled at the number of values pulled so far.
func count(n int, pulled *int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			*pulled = i + 1
			if !yield(i) {
				return
			}
		}
	}
}

func TestMapKeepsOrderAndBoundsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 3, pools.WorkersConfig{})
		var pulled, yielded int
		for v, err := range pools.Map(t.Context(), p, count(100, &pulled), func(_ context.Context, i int) (int, error) {
			time.Sleep(time.Duration(1+i*7%5) * time.Second) // calls return in a different order
			if i%10 == 9 {
				return i, errTask
			}
			return i, nil
		}) {
			if v != yielded || (err != nil) != (v%10 == 9) {
				t.Fatalf("result %d: got %d, error %v", yielded, v, err)
			}
			yielded++
			if ahead := pulled - yielded; ahead > 16 {
				t.Fatalf("%d items were pulled ahead of the results with 3 workers, want at most 16", ahead)
			}
		}
		if yielded != 100 {
			t.Errorf("%d results, want 100", yielded)
		}
	})
}

func TestMapYieldsReadyResultsBeforePulling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 3, pools.WorkersConfig{})
		slow := func(yield func(int) bool) {
			for i := range 5 {
				if !yield(i) {
					return
				}
				time.Sleep(time.Minute)
			}
		}
		start := time.Now()
		for v, err := range pools.Map(t.Context(), p, slow, func(_ context.Context, i int) (int, error) { return i, nil }) {
			if err != nil {
				t.Error(err)
			}
			if late := time.Since(start) - time.Duration(v+1)*time.Minute; late > 0 {
				t.Errorf("result %d is %v late", v, late)
			}
		}
	})
}

func TestMapBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{})
		var pulled int
		var canceled, begun atomic.Int64
		second := make(chan bool, 100)
		for _, err := range pools.Map(t.Context(), p, count(100, &pulled), func(ctx context.Context, i int) (int, error) {
			begun.Add(1)
			if i == 0 {
				<-second
				return i, nil
			}
			second <- true
			<-ctx.Done()
			canceled.Add(1)
			return i, ctx.Err()
		}) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		before := begun.Load()
		if before < 2 || canceled.Load() != before-1 || pulled > 17 {
			t.Errorf(
				"when the loop ended, %d calls had begun, %d of them had been canceled, and %d items had been pulled; "+
					"want at least 2, all but one, and at most 17",
				before,
				canceled.Load(),
				pulled,
			)
		}
		time.Sleep(time.Minute)
		if later := begun.Load() - before; later != 0 {
			t.Errorf("%d calls began after the loop, want none", later)
		}
	})
}

func TestMapContextDoneWhilePoolIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		mustSubmit(t, p, sleep(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var errs []error
		for _, err := range pools.Map(ctx, p, slices.Values([]int{1, 2, 3}), func(context.Context, int) (int, error) {
			t.Error("fn was called after the context was done")
			return 0, nil
		}) {
			errs = append(errs, err)
		}
		if took := time.Since(
			start,
		); took != time.Second ||
			!errors.Is(errors.Join(errs...), context.DeadlineExceeded) {
			t.Errorf("the loop took %v and yielded the errors %v, want DeadlineExceeded after 1 s", took, errs)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestMapPoolClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		time.AfterFunc(time.Second, p.Close)
		var pulled int
		var errs []error
		for _, err := range pools.Map(t.Context(), p, count(10, &pulled), func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}) {
			errs = append(errs, err)
			if !errors.Is(err, pools.ErrClosed) {
				t.Errorf("error %v, want ErrClosed", err)
			}
		}
		if len(errs) != 10 {
			t.Errorf("%d errors, want 10: %v", len(errs), errs)
		}
	})
}

func TestMapOnClosedPool(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	p.Close()
	var pulled int
	for _, err := range pools.Map(t.Context(), p, count(10, &pulled), func(context.Context, int) (int, error) { return 0, nil }) {
		if !errors.Is(err, pools.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
	}
	if pulled != 1 {
		t.Errorf("%d items were pulled, want 1", pulled)
	}
}

func TestForEachWithinOwnPool(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	f := pools.Do(t.Context(), p, func(ctx context.Context) (int, error) {
		return 0, pools.ForEach(ctx, p, slices.Values([]int{1}), func(context.Context, int) error { return nil })
	})
	if _, err := f.Wait(t.Context()); !errors.Is(err, pools.ErrDeadlock) {
		t.Errorf("ForEach within a task of the same pool: error %v, want ErrDeadlock", err)
	}
}

func TestMapContextHasCallersValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{TaskTimeout: time.Second})
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "value")
		for _, err := range pools.Map(ctx, p, slices.Values([]int{1, 2}), func(ctx context.Context, _ int) (int, error) {
			if ctx.Value(key{}) != "value" {
				t.Error("the context passed to fn does not have the caller's values")
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("call that outlasts TaskTimeout: error %v, want DeadlineExceeded", err)
			}
		}
	})
}

// Regression: twice the number of workers overflowed.
func TestMapOnVeryManyWorkers(t *testing.T) {
	p := newWorkers(t, math.MaxInt-1, pools.WorkersConfig{Queue: math.MaxInt})
	n := 0
	for v, err := range pools.Map(t.Context(), p, slices.Values([]int{0, 1, 2}), func(_ context.Context, i int) (int, error) { return i, nil }) {
		if v != n || err != nil {
			t.Errorf("result %d: got %d, error %v", n, v, err)
		}
		n++
	}
	if err := pools.ForEach(
		t.Context(),
		p,
		slices.Values([]int{1, 2}),
		func(context.Context, int) error { return nil },
	); err != nil ||
		n != 3 {
		t.Errorf("%d results from Map, error %v from ForEach; want 3 and none", n, err)
	}
}

// The calls to Map and ForEach are ordinary tasks: other tasks run between them.
func TestMapIsFairToOtherTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		start := time.Now()
		go func() {
			var pulled int
			_ = pools.ForEach(
				t.Context(),
				p,
				count(1000, &pulled),
				func(context.Context, int) error { time.Sleep(time.Second); return nil },
			)
		}()
		time.Sleep(100 * time.Second)
		f := pools.Do(t.Context(), p, func(context.Context) (int, error) { return 1, nil })
		if _, err := f.Wait(t.Context()); err != nil || time.Since(start) > 120*time.Second {
			t.Errorf(
				"task submitted 100 s after the start of ForEach: error %v, done after %v; want none, at most 120 s",
				err,
				time.Since(start),
			)
		}
		p.Close()
		synctest.Wait()
	})
}

func TestMapAllocatesNothingPerItem(t *testing.T) {
	p := newWorkers(t, 2, pools.WorkersConfig{})
	const n = 1000
	runs := map[string]func(items iter.Seq[int]){
		"Map": func(items iter.Seq[int]) {
			for _, err := range pools.Map(context.Background(), p, items, func(_ context.Context, i int) (int, error) { return i, nil }) {
				if err != nil {
					t.Error(err)
				}
			}
		},
		"ForEach": func(items iter.Seq[int]) {
			_ = pools.ForEach(context.Background(), p, items, func(context.Context, int) error { return nil })
		},
	}
	for name, run := range runs {
		var pulled int
		if allocs := testing.AllocsPerRun(20, func() { run(count(n, &pulled)) }); allocs > n/10 && !raceEnabled {
			t.Errorf("%s: %v allocations for %d items, want at most %d", name, allocs, n, n/10)
		}
	}
}
