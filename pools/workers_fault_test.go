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

// Regression: with a queue of 1 and 8 idle workers, only one of 8 tasks was accepted.
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
							t.Errorf(
								"task %d (workers already started: %t): error %v, want accepted: %t",
								i,
								started,
								err,
								accepted,
							)
						}
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// Regression: 500 callers of a pool with a queue of 4 were counted as 4 pending.
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
				t.Errorf(
					"%d pending, %d queued, %d running; want %d, %d, 1",
					n,
					p.Queued(),
					p.Running(),
					left,
					min(4, left),
				)
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
		if err := p.Submit(t.Context(), noop); !errors.Is(err, pools.ErrFull) {
			t.Errorf("Submit while 2 callers are blocked: error %v, want ErrFull", err)
		}
		s := p.Stats()
		if n := s.Requests[instrument.Rejected].Or(0); n != 1 || s.Pending.Or(0) > s.PendingLimit.Or(0) {
			t.Errorf(
				"%d rejected, %v pending, pending limit %v; want 1, and pending within the limit",
				n,
				s.Pending,
				s.PendingLimit,
			)
		}
		time.Sleep(time.Minute)
	})
}

func TestTasksStartInOrder(t *testing.T) {
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
			t.Errorf("%d tasks started in the order %v, want 0 to 199", len(order), order)
		}
	})
}

// unrelatedContext returns a context that is not derived from a task's context, such as a request's
// context.
func unrelatedContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Hour)
}

// Regression: a task that called Submit with its request's context hung silently.
func TestSubmitInTaskWithOtherContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{Queue: 1})
		var mu sync.Mutex
		var errs []error
		ctx, cancel := unrelatedContext()
		defer cancel()
		start := time.Now()
		for range 2 {
			mustSubmit(t, p, func(context.Context) error {
				time.Sleep(time.Minute)
				for range 2 {
					err := p.Submit(ctx, noop)
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
				return nil
			})
		}
		outside := make(chan error)
		synctest.Wait()
		mustSubmit(t, p, noop)
		go func() { outside <- p.Submit(ctx, noop) }()
		if err := <-outside; err != nil {
			t.Errorf("Submit outside of tasks: %v", err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if took := time.Since(start) - time.Minute; took > 2*time.Second {
			t.Errorf("detecting the deadlock took %v, want at most 2 s", took)
		}
		if i := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, pools.ErrDeadlock) }); i < 0 {
			t.Errorf("Submit in tasks: errors %v, want an ErrDeadlock", errs)
		}
	})
}

// Unlike a task, a goroutine that a task started may block in Submit.
func TestSubmitInGoroutineOfTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: -1})
		ctx, cancel := unrelatedContext()
		defer cancel()
		got := make(chan error, 1)
		mustSubmit(t, p, func(context.Context) error {
			go func() { got <- p.Submit(ctx, noop) }()
			time.Sleep(time.Minute)
			return nil
		})
		if err := <-got; err != nil {
			t.Errorf("Submit in a goroutine that a task started: %v", err)
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
		if err := p.Submit(ctx, noop); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("last caller, which gave up after it was told to check: error %v, want DeadlineExceeded", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.IsSorted(order) || len(order) != 10 {
			t.Errorf("tasks started in the order %v, want 0 to 9", order)
		}
	})
}

func TestWaitInTaskWithOtherContext(t *testing.T) {
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
			g.Go(noop)
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
					t.Errorf("%s in a task: error %v, want ErrDeadlock", name, err)
				}
				outside := make(chan error, 1)
				mustSubmit(t, p, func(context.Context) error {
					go func() { outside <- wait(p) }()
					return nil
				})
				if err := <-outside; err != nil {
					t.Errorf("%s in a goroutine that a task started: %v", name, err)
				}
			})
		})
	}
}

type ctxKey struct{}

func TestTaskContextHasSubmittersValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{TaskTimeout: time.Minute})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), ctxKey{}, "trace"))
		check := func(ctx context.Context) error {
			if ctx.Value(ctxKey{}) != "trace" {
				t.Error("the task's context does not have the values of the context with which it was submitted")
			}
			if _, ok := pprof.Label(ctx, "poolgauge.pool.name"); !ok {
				t.Error("the task's context does not have the pool's pprof label")
			}
			time.Sleep(time.Second)
			derived, stop := context.WithCancel(ctx)
			defer stop()
			if derived.Err() != nil {
				t.Errorf("the task's context was canceled with that of its submitter: %v", derived.Err())
			}
			<-derived.Done()
			return derived.Err()
		}
		mustSubmit(t, p, noop)
		if err := p.Submit(ctx, check); err != nil {
			t.Fatal(err)
		}
		f := pools.Do(ctx, p, func(ctx context.Context) (int, error) { return 1, check(ctx) })
		cancel()
		if _, err := f.Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the task's context ended with %v, want DeadlineExceeded", err)
		}
	})
}

func TestSubmitWithValuesAllocatesOnce(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	ctx := context.WithValue(context.Background(), ctxKey{}, 1)
	n := testing.AllocsPerRun(1000, func() { _ = p.Submit(ctx, noop) })
	if n > 1.1 && !raceEnabled {
		t.Errorf("%v allocations for a task with values, want 1", n)
	}
}

func hasLabel(name string) bool {
	var dump bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&dump, 1)
	return strings.Contains(dump.String(), `"poolgauge.pool.name":"`+name+`"`)
}

func TestTasksCannotRemoveWorkerLabel(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	runOne(t, p, func() { pprof.SetGoroutineLabels(context.Background()) })
	runOne(t, p, func() {
		if !hasLabel(t.Name()) {
			t.Error("the worker lost its label after a task that called SetGoroutineLabels")
		}
		pprof.Do(context.Background(), pprof.Labels("a", "b"), func(context.Context) {})
	})
	runOne(t, p, func() {
		if !hasLabel(t.Name()) {
			t.Error("the worker lost its label after a task that called pprof.Do")
		}
	})
}

func TestOnErrorGetsErrorsOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs []error
		p := newWorkers(t, 1, pools.WorkersConfig{OnError: func(ctx context.Context, err error) {
			if ctx.Value(ctxKey{}) != "trace" {
				t.Error("OnError was not called with the task's context")
			}
			errs = append(errs, err)
		}})
		ctx := context.WithValue(t.Context(), ctxKey{}, "trace")
		if err := p.Submit(ctx, func(context.Context) error { return errTask }); err != nil {
			t.Fatal(err)
		}
		mustSubmit(t, p, noop)
		f := pools.Do(t.Context(), p, func(context.Context) (int, error) { return 0, errTask })
		if _, err := f.Wait(t.Context()); !errors.Is(err, errTask) {
			t.Errorf("Wait: error %v, want errTask", err)
		}
		synctest.Wait()
		if len(errs) != 1 || !errors.Is(errs[0], errTask) || p.Stats().Completed[instrument.Failed].Or(0) != 2 {
			t.Errorf("OnError was called with %v, want errTask once; want 2 failed tasks", errs)
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
			t.Errorf("%d idle workers after 1000 h, want 4", n)
		}
	})
}
