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

// Tasks that panic or call runtime.Goexit cost no worker. In a workerpool or gopool with 2 workers,
// runtime.Goexit in two tasks ends all workers; in workerpool and tunny, a panic crashes the
// process.
func TestFaultPanicAndGoexitCostNoWorker(t *testing.T) {
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
			t.Errorf("completed %v, used %v", s.Completed, s.Usage[instrument.Used])
		}
		start := time.Now()
		for range 2 {
			mustSubmit(t, p, sleep(time.Second))
		}
		synctest.Wait()
		if used := p.Stats().Usage[instrument.Used].Or(0); used != 2 {
			t.Errorf("%d workers are left of 2", used)
		}
		time.Sleep(time.Since(start) + time.Second)
		exit, panicked := reports[0], reports[1]
		if exit.Value != nil || !bytes.Contains(exit.Stack, []byte("taskThatExits")) ||
			!strings.Contains(exit.Error(), "Goexit") {
			t.Errorf("exit is reported as %v\n%s", exit, exit.Stack)
		}
		if !errors.Is(panicked, cause) || !bytes.Contains(panicked.Stack, []byte("taskThatPanics")) ||
			!strings.Contains(panicked.Error(), t.Name()) {
			t.Errorf("panic is reported as %v\n%s", panicked, panicked.Stack)
		}
	})
}

func taskThatExits(context.Context) error {
	runtime.Goexit()
	return nil
}

func taskThatPanics(v any) error { panic(v) }

func TestGoexitOfOnPanicCostsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{OnPanic: func(*pools.PanicError) { runtime.Goexit() }})
		for range 3 {
			mustSubmit(t, p, func(context.Context) error { panic(1) })
		}
		mustSubmit(t, p, nothing)
		synctest.Wait()
		if s := p.Stats(); s.Completed[instrument.OK].Or(0) != 1 || s.Completed[instrument.Panicked].Or(0) != 3 {
			t.Errorf("completed %v", s.Completed)
		}
	})
}

// Submit on a stopped pool returns an error. conc panics on submit after Wait.
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
				nothing,
			); !errors.Is(err, pools.ErrClosed) ||
				!strings.Contains(err.Error(), t.Name()) {
				t.Errorf("Submit: %v", err)
			}
			if err := p.TrySubmit(nothing); !errors.Is(err, pools.ErrClosed) {
				t.Errorf("TrySubmit: %v", err)
			}
			if n := p.Stats().Requests[instrument.WasClosed].Or(0); n != 2 {
				t.Errorf("%d requests closed", n)
			}
		})
	}
}

func TestSubmitWithAnEndedContext(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Submit(ctx, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("Submit: %v", err)
	}
	if s := p.Stats(); s.Requests[instrument.Canceled].Or(0) != 1 || s.Wait[instrument.Canceled].Zeros() != 1 {
		t.Errorf("Stats %+v", s)
	}
}

func TestWorkersShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{Queue: 3})
		for range 5 {
			mustSubmit(t, p, sleep(10*time.Second))
		}
		blocked := make(chan error)
		go func() { blocked <- p.Submit(context.Background(), nothing) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		err := p.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || p.Queued() != 1 || p.Running() != 2 {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-blocked; !errors.Is(err, pools.ErrClosed) {
			t.Errorf("the caller that was blocked: %v", err)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown again: %v", err)
		}
		if n := p.Stats().Completed[instrument.OK].Or(0); n != 5 {
			t.Errorf("%d tasks completed of 5", n)
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
			t.Errorf("Close took %v, the task 1 s", took)
		}
		if !errors.Is(cause, pools.ErrClosed) {
			t.Errorf("the task was canceled by %v", cause)
		}
		if _, err := dropped.Wait(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("the future of a dropped task: %v", err)
		}
		s := p.Stats()
		if s.Requests[instrument.WasClosed].Or(0) != 1 || s.Completed[instrument.Failed].Or(0) != 1 {
			t.Errorf("Stats %+v", s)
		}
		seconds(t, "closed", s.Wait[instrument.WasClosed], 1, 1)
	})
}

// A nested Submit for which there is no room returns ErrDeadlock. It deadlocks ants
// (panjf2000/ants#197).
func TestFaultNestedSubmitDeadlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 1})
		var errs []error
		mustSubmit(t, p, func(ctx context.Context) error {
			errs = append(errs, p.Submit(ctx, nothing), p.Submit(ctx, nothing), p.Shutdown(ctx))
			return nil
		})
		synctest.Wait()
		if errs[0] != nil || !errors.Is(errs[1], pools.ErrDeadlock) || !errors.Is(errs[2], pools.ErrDeadlock) {
			t.Errorf("errors %v", errs)
		}
		if !strings.Contains(errs[1].Error(), t.Name()) {
			t.Errorf("%v does not name the pool", errs[1])
		}
		if n := p.Stats().Requests[instrument.Rejected].Or(0); n != 1 {
			t.Errorf("%d rejected", n)
		}
	})
}
