package pools_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// No worker is lost if tasks panic or call runtime.Goexit. In a workerpool or gopool with 2
// workers, two tasks that call runtime.Goexit end all workers; in workerpool and tunny, a panic
// crashes the process.
func TestFaultPanicOrGoexitLosesWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports []*pools.PanicError
		p := newWorkers(t, 2, pools.WorkersConfig{OnPanic: func(e *pools.PanicError) { reports = append(reports, e) }})
		cause := errors.New("cause")
		for range 5 {
			mustSubmit(t, p, taskThatExits)
			synctest.Wait()
			mustSubmit(t, p, func(context.Context) error { return taskThatPanics(cause) })
			synctest.Wait()
		}
		s := p.Stats()
		if s.Completed[instrument.Panicked].Or(0) != 5 || s.Completed[instrument.Exited].Or(0) != 5 ||
			s.Usage[instrument.Used].Or(1) != 0 {
			t.Errorf(
				"completed %v, used %v; want 5 panicked, 5 exited and 0 used",
				s.Completed,
				s.Usage[instrument.Used],
			)
		}
		start := time.Now()
		for range 2 {
			mustSubmit(t, p, sleep(time.Second))
		}
		synctest.Wait()
		if used := p.Stats().Usage[instrument.Used].Or(0); used != 2 {
			t.Errorf("%d workers are running tasks, want 2", used)
		}
		time.Sleep(time.Since(start) + time.Second)
		exit, panicked := reports[0], reports[1]
		if exit.Value != nil || !bytes.Contains(exit.Stack, []byte("taskThatExits")) ||
			!strings.Contains(exit.Error(), "Goexit") {
			t.Errorf("runtime.Goexit was reported as %v\n%s", exit, exit.Stack)
		}
		if !errors.Is(panicked, cause) || !bytes.Contains(panicked.Stack, []byte("taskThatPanics")) ||
			!strings.Contains(panicked.Error(), t.Name()) {
			t.Errorf("the panic was reported as %v\n%s", panicked, panicked.Stack)
		}
	})
}

func taskThatExits(context.Context) error {
	runtime.Goexit()
	return nil
}

func taskThatPanics(v any) error { panic(v) }

func TestGoexitInOnPanicLosesNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{OnPanic: func(*pools.PanicError) { runtime.Goexit() }})
		for range 3 {
			mustSubmit(t, p, func(context.Context) error { panic(1) })
		}
		mustSubmit(t, p, noop)
		synctest.Wait()
		if s := p.Stats(); s.Completed[instrument.OK].Or(0) != 1 || s.Completed[instrument.Panicked].Or(0) != 3 {
			t.Errorf("completed %v, want 1 OK and 3 panicked", s.Completed)
		}
	})
}

// Submit returns an error if the pool was stopped. In conc, submitting after Wait panics.
func TestFaultSubmitAfterStop(t *testing.T) {
	for name, stop := range map[string]func(*pools.Workers){
		"Close":    (*pools.Workers).Close,
		"Shutdown": func(p *pools.Workers) { _ = p.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newWorkers(t, 1, pools.WorkersConfig{})
			stop(p)
			stop(p) // has no effect
			if err := p.Submit(
				t.Context(),
				noop,
			); !errors.Is(err, pools.ErrClosed) ||
				!strings.Contains(err.Error(), t.Name()) {
				t.Errorf("Submit: error %v, want ErrClosed with the pool's name", err)
			}
			if err := p.TrySubmit(noop); !errors.Is(err, pools.ErrClosed) {
				t.Errorf("TrySubmit: error %v, want ErrClosed", err)
			}
			if n := p.Stats().Requests[instrument.WasClosed].Or(0); n != 2 {
				t.Errorf("%d requests closed, want 2", n)
			}
		})
	}
}

func TestSubmitContextDone(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Submit(ctx, noop); !errors.Is(err, context.Canceled) {
		t.Errorf("Submit: error %v, want Canceled", err)
	}
	if s := p.Stats(); s.Requests[instrument.Canceled].Or(0) != 1 || s.Wait[instrument.Canceled].Zeros() != 1 {
		t.Errorf("Stats %+v, want 1 request canceled without waiting", s)
	}
}

func TestWorkersShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{Queue: 3})
		for range 5 {
			mustSubmit(t, p, sleep(10*time.Second))
		}
		blocked := make(chan error)
		go func() { blocked <- p.Submit(context.Background(), noop) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		err := p.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || p.Queued() != 1 || p.Running() != 2 {
			t.Errorf(
				"Shutdown: error %v, %d queued, %d running; want DeadlineExceeded, 1, 2",
				err,
				p.Queued(),
				p.Running(),
			)
		}
		if err := <-blocked; !errors.Is(err, pools.ErrClosed) {
			t.Errorf("blocked caller: error %v, want ErrClosed", err)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("second Shutdown: %v", err)
		}
		if n := p.Stats().Completed[instrument.OK].Or(0); n != 5 {
			t.Errorf("%d tasks completed, want 5", n)
		}
	})
}

func TestWorkersCloseCancelsAndDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		var cause error
		mustSubmit(t, p, func(ctx context.Context) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(time.Second)
			return ctx.Err()
		})
		synctest.Wait()
		dropped := pools.Do(t.Context(), p, func(context.Context) (int, error) { return 1, nil })
		time.Sleep(time.Second)
		start := time.Now()
		p.Close()
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v, want 1 s, as long as the task", took)
		}
		if !errors.Is(cause, pools.ErrClosed) {
			t.Errorf("the task was canceled with cause %v, want ErrClosed", cause)
		}
		if _, err := dropped.Wait(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("Future of a dropped task: error %v, want ErrClosed", err)
		}
		s := p.Stats()
		if s.Requests[instrument.WasClosed].Or(0) != 1 || s.Completed[instrument.Failed].Or(0) != 1 {
			t.Errorf("Stats %+v, want 1 closed and 1 failed", s)
		}
		wantDurations(t, "closed", s.Wait[instrument.WasClosed], 1, 1)
	})
}

// A Submit within a task returns ErrDeadlock if there is no room. In ants, it deadlocks
// (panjf2000/ants#197).
func TestFaultNestedSubmitDeadlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 1})
		var errs []error
		mustSubmit(t, p, func(ctx context.Context) error {
			errs = append(errs, p.Submit(ctx, noop), p.Submit(ctx, noop), p.Shutdown(ctx))
			return nil
		})
		synctest.Wait()
		if errs[0] != nil || !errors.Is(errs[1], pools.ErrDeadlock) || !errors.Is(errs[2], pools.ErrDeadlock) {
			t.Errorf("errors %v, want none, ErrDeadlock and ErrDeadlock", errs)
		}
		if !strings.Contains(errs[1].Error(), t.Name()) {
			t.Errorf("error %v, want one with the pool's name", errs[1])
		}
		if n := p.Stats().Requests[instrument.Rejected].Or(0); n != 1 {
			t.Errorf("%d requests rejected, want 1", n)
		}
	})
}

// Regression: Close in a task hung, and Shutdown in a task stopped the pool although it returned an
// error.
func TestStopInTask(t *testing.T) {
	contexts := map[string]func(context.Context) context.Context{
		"task context":  func(ctx context.Context) context.Context { return ctx },
		"other context": func(context.Context) context.Context { return context.Background() },
	}
	for name, choose := range contexts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newWorkers(t, 2, pools.WorkersConfig{})
				var shutdown, after, cause error
				mustSubmit(t, p, func(ctx context.Context) error {
					shutdown = p.Shutdown(choose(ctx))
					after = p.Submit(choose(ctx), noop)
					p.Close()
					cause = context.Cause(ctx)
					return nil
				})
				synctest.Wait()
				if !errors.Is(shutdown, pools.ErrDeadlock) || after != nil {
					t.Errorf("Shutdown: error %v, then Submit: error %v; want ErrDeadlock and none", shutdown, after)
				}
				if !errors.Is(cause, pools.ErrClosed) || !errors.Is(p.Submit(t.Context(), noop), pools.ErrClosed) {
					t.Errorf("after Close: cause in the task %v, want ErrClosed, also from Submit", cause)
				}
				p.Close() // waits for the task
				if s := p.Stats(); s.Usage[instrument.Idle].Or(-1) != 0 || p.Running() != 0 {
					t.Errorf("after Close: %+v, want 0 idle and 0 running", s)
				}
			})
		})
	}
}

func TestCloseInEveryTask(t *testing.T) {
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
