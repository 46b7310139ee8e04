package pools_test

import (
	"bytes"
	"context"
	"errors"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// With a queue of 1, only one of 8 tasks was once accepted by 8 idle workers.
func TestIdleWorkersCountAsRoom(t *testing.T) {
	for name, c := range map[string]struct{ queue, accepted int }{"queue of 1": {1, 9}, "no queue": {-1, 8}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newWorkers(t, 8, pools.WorkersConfig{Queue: c.queue})
				for _, started := range []bool{false, true} {
					for i := range 10 {
						err := p.TrySubmit(sleep(time.Second))
						if accepted := i < c.accepted; accepted != (err == nil) ||
							!accepted && !errors.Is(err, pools.ErrFull) {
							t.Errorf("task %d, with workers that were started: %t: %v", i, started, err)
						}
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// 500 callers with a queue of 4 were once counted as 4 pending.
func TestPendingCountsBlockedCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 4})
		for range 500 {
			go func() { mustSubmit(t, p, sleep(time.Second)) }()
		}
		for left := int64(499); left >= 0; left-- {
			synctest.Wait()
			s := p.Stats()
			if n := s.Pending.Or(-1); n != left || int64(p.Queued()) != min(4, left) || p.Running() != 1 {
				t.Errorf("%d pending, %d queued and %d running, want %d pending", n, p.Queued(), p.Running(), left)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestMaxPendingBoundsBlockedCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 1, MaxPending: 2})
		for range 4 {
			go func() { mustSubmit(t, p, sleep(time.Second)) }()
			synctest.Wait()
		}
		if err := p.Submit(t.Context(), nothing); !errors.Is(err, pools.ErrFull) {
			t.Errorf("Submit while 2 callers are blocked: %v", err)
		}
		s := p.Stats()
		if n := s.Requests[instrument.Rejected].Or(0); n != 1 || s.Pending.Or(0) > s.PendingLimit.Or(0) {
			t.Errorf("%d rejected, %v pending of %v", n, s.Pending, s.PendingLimit)
		}
		time.Sleep(time.Minute)
	})
}

func TestSubmitIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{Queue: 3})
		var mu sync.Mutex
		var order []int
		for i := range 200 {
			go func() {
				mustSubmit(t, p, func(context.Context) error {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					time.Sleep(time.Second + time.Duration(i%2)*time.Millisecond)
					return nil
				})
			}()
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.IsSorted(order) || len(order) != 200 {
			t.Errorf("%d tasks started, in the order %v", len(order), order)
		}
	})
}

// foreign returns a context that is not derived from a task's context, such as a request's context.
func foreign() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Hour)
}

// A task that called Submit with its request's context once hung silently.
func TestSubmitInATaskWithAnotherContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{Queue: 1})
		var mu sync.Mutex
		var errs []error
		ctx, cancel := foreign()
		defer cancel()
		start := time.Now()
		for range 2 {
			mustSubmit(t, p, func(context.Context) error {
				time.Sleep(time.Minute)
				for range 2 {
					err := p.Submit(ctx, nothing)
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
				return nil
			})
		}
		outside := make(chan error)
		synctest.Wait()
		mustSubmit(t, p, nothing)
		go func() { outside <- p.Submit(ctx, nothing) }()
		if err := <-outside; err != nil {
			t.Errorf("the caller that is no task: %v", err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if took := time.Since(start) - time.Minute; took > 2*time.Second {
			t.Errorf("it took %v to notice", took)
		}
		if i := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, pools.ErrDeadlock) }); i < 0 {
			t.Errorf("Submit in tasks: %v", errs)
		}
	})
}

// Submit may block in a goroutine that a task started, unlike in the task itself.
func TestSubmitInAGoroutineOfATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: -1})
		ctx, cancel := foreign()
		defer cancel()
		got := make(chan error, 1)
		mustSubmit(t, p, func(context.Context) error {
			go func() { got <- p.Submit(ctx, nothing) }()
			time.Sleep(time.Minute)
			return nil
		})
		if err := <-got; err != nil {
			t.Errorf("Submit of a goroutine that a task started: %v", err)
		}
	})
}

func TestBlockedCallersKeepTheirPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: -1})
		var order []int
		mustSubmit(t, p, sleep(10*time.Second))
		for i := range 10 {
			go func() {
				mustSubmit(t, p, func(context.Context) error {
					order = append(order, i)
					time.Sleep(10 * time.Second)
					return nil
				})
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := p.Submit(ctx, nothing); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the last one, that gave up after it was asked: %v", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.IsSorted(order) || len(order) != 10 {
			t.Errorf("the order is %v", order)
		}
	})
}

// Close in a task once hung, and Shutdown in a task stopped the pool although it returned an error.
func TestStopInATask(t *testing.T) {
	ctxs := map[string]func(context.Context) context.Context{
		"context of the task": func(ctx context.Context) context.Context { return ctx },
		"another context":     func(context.Context) context.Context { return context.Background() },
	}
	for name, of := range ctxs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newWorkers(t, 2, pools.WorkersConfig{})
				var shutdown, after, cause error
				mustSubmit(t, p, func(ctx context.Context) error {
					shutdown = p.Shutdown(of(ctx))
					after = p.Submit(of(ctx), nothing)
					p.Close()
					cause = context.Cause(ctx)
					return nil
				})
				synctest.Wait()
				if !errors.Is(shutdown, pools.ErrDeadlock) || after != nil {
					t.Errorf("Shutdown: %v, and Submit after it: %v", shutdown, after)
				}
				if !errors.Is(cause, pools.ErrClosed) || !errors.Is(p.Submit(t.Context(), nothing), pools.ErrClosed) {
					t.Errorf("after Close the pool is open, and the cause in the task is %v", cause)
				}
				p.Close() // waits for the task
				if s := p.Stats(); s.Usage[instrument.Idle].Or(-1) != 0 || p.Running() != 0 {
					t.Errorf("Stats %+v", s)
				}
			})
		})
	}
}

func TestAllTasksClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 3, pools.WorkersConfig{})
		for range 5 {
			mustSubmit(t, p, func(context.Context) error {
				time.Sleep(time.Second)
				p.Close()
				return nil
			})
		}
		time.Sleep(time.Minute)
		p.Close()
	})
}

func TestWaitsInATaskWithAnotherContext(t *testing.T) {
	waits := map[string]func(p *pools.Workers) error{
		"Future.Wait": func(p *pools.Workers) error {
			f := pools.Do(context.Background(), p, func(context.Context) (int, error) { return 1, nil })
			_, err := f.Wait(context.Background())
			return err
		},
		"Map": func(p *pools.Workers) (all error) {
			for _, err := range pools.Map(context.Background(), p, slices.Values([]int{1}), func(context.Context, int) (int, error) { return 1, nil }) {
				all = errors.Join(all, err)
			}
			return all
		},
		"ForEach": func(p *pools.Workers) error {
			return pools.ForEach(
				context.Background(),
				p,
				slices.Values([]int{1}),
				func(context.Context, int) error { return nil },
			)
		},
		"TaskGroup.Wait": func(p *pools.Workers) error {
			g, _ := p.Group(context.Background())
			g.Go(nothing)
			return g.Wait()
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newWorkers(t, 1, pools.WorkersConfig{})
				var err error
				mustSubmit(t, p, func(context.Context) error {
					err = wait(p)
					return nil
				})
				synctest.Wait()
				if !errors.Is(err, pools.ErrDeadlock) {
					t.Errorf("%s: %v", name, err)
				}
				outside := make(chan error, 1)
				mustSubmit(t, p, func(context.Context) error {
					go func() { outside <- wait(p) }()
					return nil
				})
				if err := <-outside; err != nil {
					t.Errorf("%s of a goroutine that a task started: %v", name, err)
				}
			})
		})
	}
}

type ctxKey struct{}

func TestTasksHaveTheValuesOfTheSubmitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{TaskTimeout: time.Minute})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), ctxKey{}, "trace"))
		check := func(ctx context.Context) error {
			if ctx.Value(ctxKey{}) != "trace" {
				t.Error("the task does not see the values of the context that it was submitted with")
			}
			if _, pool := pprof.Label(ctx, "poolgauge.pool.name"); !pool {
				t.Error("the context of the task does not have the label of the pool")
			}
			time.Sleep(time.Second)
			derived, stop := context.WithCancel(ctx)
			defer stop()
			if derived.Err() != nil {
				t.Errorf("the context of the task ended with that of its submitter: %v", derived.Err())
			}
			<-derived.Done()
			return derived.Err()
		}
		mustSubmit(t, p, nothing)
		if err := p.Submit(ctx, check); err != nil {
			t.Fatal(err)
		}
		f := pools.Do(ctx, p, func(ctx context.Context) (int, error) { return 1, check(ctx) })
		cancel()
		if _, err := f.Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context of the task ended with %v, want its own deadline", err)
		}
	})
}

func TestSubmitAllocatesOneContextForValues(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	ctx := context.WithValue(context.Background(), ctxKey{}, 1)
	n := testing.AllocsPerRun(1000, func() { _ = p.Submit(ctx, nothing) })
	if n > 1.1 && !raceEnabled {
		t.Errorf("%v allocations for a task with values", n)
	}
}

func hasLabel(name string) bool {
	var dump bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&dump, 1)
	return strings.Contains(dump.String(), `"poolgauge.pool.name":"`+name+`"`)
}

func TestTasksCannotRemoveTheLabelOfTheirWorker(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	runOne(t, p, func() { pprof.SetGoroutineLabels(context.Background()) })
	runOne(t, p, func() {
		if !hasLabel(t.Name()) {
			t.Error("the worker lost its label to SetGoroutineLabels of the task before")
		}
		pprof.Do(context.Background(), pprof.Labels("a", "b"), func(context.Context) {})
	})
	runOne(t, p, func() {
		if !hasLabel(t.Name()) {
			t.Error("the worker lost its label to pprof.Do of the task before")
		}
	})
}

func TestOnErrorHasTheErrorsOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs []error
		p := newWorkers(t, 1, pools.WorkersConfig{OnError: func(ctx context.Context, err error) {
			if ctx.Value(ctxKey{}) != "trace" {
				t.Error("the context is not that of the task")
			}
			errs = append(errs, err)
		}})
		ctx := context.WithValue(t.Context(), ctxKey{}, "trace")
		if err := p.Submit(ctx, func(context.Context) error { return errTask }); err != nil {
			t.Fatal(err)
		}
		mustSubmit(t, p, nothing)
		f := pools.Do(t.Context(), p, func(context.Context) (int, error) { return 0, errTask })
		if _, err := f.Wait(t.Context()); !errors.Is(err, errTask) {
			t.Errorf("Wait: %v", err)
		}
		synctest.Wait()
		if len(errs) != 1 || !errors.Is(errs[0], errTask) || p.Stats().Completed[instrument.Failed].Or(0) != 2 {
			t.Errorf("OnError was called with %v", errs)
		}
	})
}

func TestNegativeIdleTimeoutKeepsWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 4, pools.WorkersConfig{IdleTimeout: -1})
		for range 4 {
			mustSubmit(t, p, sleep(time.Second))
		}
		time.Sleep(1000 * time.Hour)
		if n := p.Stats().Usage[instrument.Idle].Or(-1); n != 4 {
			t.Errorf("%d idle workers", n)
		}
	})
}
