package pooltest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
)

// Group is the interface that the groups under test share with errgroup.Group.
type Group interface {
	Go(f func() error)
	TryGo(f func() error) bool
	SetLimit(n int)
	Wait() error
}

type newGroup = func(ctx context.Context) (Group, context.Context)

// BehavesAsErrgroup tests that groups behave like errgroup.Group, which must pass the same tests.
// zero returns a group equivalent to the zero errgroup.Group, and withContext a group equivalent to
// the result of errgroup.WithContext.
func BehavesAsErrgroup(
	t *testing.T,
	zero func() Group,
	withContext func(ctx context.Context) (Group, context.Context),
) {
	for what, behaves := range groupBehaviors {
		t.Run(what, func(t *testing.T) {
			t.Run("errgroup", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					behaves(t, func() Group { return new(errgroup.Group) },
						func(ctx context.Context) (Group, context.Context) { return errgroup.WithContext(ctx) })
				})
			})
			t.Run("ours", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { behaves(t, zero, withContext) })
			})
		})
	}
}

var errFirst, errSecond = errors.New("first"), errors.New("second")

// fail returns a function that sleeps for the given duration and then returns err.
func fail(after time.Duration, err error) func() error {
	return func() error { time.Sleep(after); return err }
}

var groupBehaviors = map[string]func(t *testing.T, zero func() Group, withContext newGroup){
	"zero value is usable": func(t *testing.T, zero func() Group, _ newGroup) {
		if err := zero().Wait(); err != nil {
			t.Errorf("Wait of an empty group: got %v, want nil", err)
		}
	},
	"Wait returns the earliest error": func(t *testing.T, zero func() Group, _ newGroup) {
		g := zero()
		g.Go(fail(2*time.Second, errSecond))
		g.Go(fail(time.Second, errFirst))
		g.Go(fail(0, nil))
		if err := g.Wait(); err != errFirst { //nolint:errorlint // by identity
			t.Errorf("Wait: got %v, want %v", err, errFirst)
		}
		if err := g.Wait(); err != errFirst { //nolint:errorlint // by identity
			t.Errorf("second Wait: got %v, want %v", err, errFirst)
		}
	},
	"error cancels": func(t *testing.T, _ func() Group, withContext newGroup) {
		g, ctx := withContext(t.Context())
		g.Go(fail(time.Second, errFirst))
		g.Go(func() error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		if err := g.Wait(); err != errFirst || time.Since(start) != time.Second { //nolint:errorlint // by identity
			t.Errorf("Wait: got %v after %v, want %v after 1s", err, time.Since(start), errFirst)
		}
		if context.Cause(ctx) != errFirst { //nolint:errorlint // by identity
			t.Errorf("got cause %v, want %v", context.Cause(ctx), errFirst)
		}
	},
	"Wait cancels": func(t *testing.T, _ func() Group, withContext newGroup) {
		g, ctx := withContext(t.Context())
		g.Go(fail(0, nil))
		if ctx.Err() != nil {
			t.Errorf("the context is done before Wait: %v", ctx.Err())
		}
		if err := g.Wait(); err != nil || !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("Wait: got %v, cause %v; want nil, cause %v", err, context.Cause(ctx), context.Canceled)
		}
	},
	"limit blocks Go": func(t *testing.T, zero func() Group, _ newGroup) {
		g := zero()
		g.SetLimit(2)
		var active, peak atomic.Int64
		start := time.Now()
		for range 6 {
			g.Go(func() error {
				peak.Store(max(peak.Load(), active.Add(1)))
				time.Sleep(time.Second)
				active.Add(-1)
				return nil
			})
		}
		if blocked := time.Since(start); blocked != 2*time.Second {
			t.Errorf("Go blocked for %v in total, want 2s", blocked)
		}
		_ = g.Wait()
		if peak.Load() != 2 {
			t.Errorf("up to %d functions ran concurrently, want 2", peak.Load())
		}
	},
	"TryGo": func(t *testing.T, zero func() Group, _ newGroup) {
		g := zero()
		g.SetLimit(1)
		got := fmt.Sprint(g.TryGo(fail(time.Second, errFirst)), g.TryGo(fail(0, nil)))
		_ = g.Wait()
		got += fmt.Sprint(" ", g.TryGo(fail(0, errSecond)), g.Wait())
		g.SetLimit(-1)
		got += fmt.Sprint(" ", g.TryGo(fail(time.Second, nil)), g.TryGo(fail(0, nil)))
		_ = g.Wait()
		if want := "true false true first true true"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	},
	"limit 0 starts nothing": func(t *testing.T, zero func() Group, _ newGroup) {
		g := zero()
		g.SetLimit(0)
		if g.TryGo(fail(0, nil)) {
			t.Error("a function started despite a limit of 0")
		}
	},
	"SetLimit of an active group panics": func(t *testing.T, zero func() Group, _ newGroup) {
		g := zero()
		g.SetLimit(2)
		g.Go(fail(time.Second, nil))
		defer func() {
			if v := fmt.Sprint(recover()); !strings.Contains(v, "limit") || !strings.Contains(v, "1") {
				t.Errorf("recovered %q, want a message about the limit and the 1 active goroutine", v)
			}
			_ = g.Wait()
		}()
		g.SetLimit(3)
	},
	"Goexit is not an error and frees the slot": func(t *testing.T, zero func() Group, _ newGroup) {
		g := zero()
		g.SetLimit(1)
		for range 3 {
			g.Go(func() error { runtime.Goexit(); return errFirst })
		}
		if err := g.Wait(); err != nil {
			t.Errorf("Wait: got %v, want nil", err)
		}
	},
}
