package pools_test

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

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// group is what all groups have in common.
type group interface {
	Go(func() error)
	TryGo(func() error) bool
	SetLimit(int)
	Wait() error
}

// groups are the implementations that must behave alike.
func groups(t *testing.T) map[string]struct {
	zero        func() group
	withContext func(context.Context) (group, context.Context)
} {
	named, err := pools.NewGroups(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(named.Close)
	type implementation = struct {
		zero        func() group
		withContext func(context.Context) (group, context.Context)
	}
	return map[string]implementation{
		"errgroup": {
			func() group { return new(errgroup.Group) },
			func(ctx context.Context) (group, context.Context) { return errgroup.WithContext(ctx) },
		},
		"pools": {
			func() group { return new(pools.Group) },
			func(ctx context.Context) (group, context.Context) { return pools.WithContext(ctx) },
		},
		"named": {
			func() group { return named.Group() },
			func(ctx context.Context) (group, context.Context) { return named.WithContext(ctx) },
		},
	}
}

func TestGroupBehavesAsErrgroup(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	fail := func(after time.Duration, err error) func() error {
		return func() error { time.Sleep(after); return err }
	}
	behaviours := map[string]func(t *testing.T, zero func() group, withContext func(context.Context) (group, context.Context)){
		"zero is usable": func(t *testing.T, zero func() group, _ func(context.Context) (group, context.Context)) {
			if err := zero().Wait(); err != nil {
				t.Errorf("Wait for nothing: %v", err)
			}
		},
		"first error in time": func(t *testing.T, zero func() group, _ func(context.Context) (group, context.Context)) {
			g := zero()
			g.Go(fail(2*time.Second, second))
			g.Go(fail(time.Second, first))
			g.Go(fail(0, nil))
			if err := g.Wait(); err != first { //nolint:errorlint // the very error
				t.Errorf("Wait: %v", err)
			}
			if err := g.Wait(); err != first { //nolint:errorlint // the very error
				t.Errorf("Wait again: %v", err)
			}
		},
		"error cancels": func(t *testing.T, _ func() group, withContext func(context.Context) (group, context.Context)) {
			g, ctx := withContext(t.Context())
			g.Go(fail(time.Second, first))
			g.Go(func() error { <-ctx.Done(); return ctx.Err() })
			start := time.Now()
			if err := g.Wait(); err != first || time.Since(start) != time.Second { //nolint:errorlint // the very error
				t.Errorf("Wait: %v after %v", err, time.Since(start))
			}
			if context.Cause(ctx) != first { //nolint:errorlint // the very error
				t.Errorf("cause %v", context.Cause(ctx))
			}
		},
		"Wait cancels": func(t *testing.T, _ func() group, withContext func(context.Context) (group, context.Context)) {
			g, ctx := withContext(t.Context())
			g.Go(fail(0, nil))
			if ctx.Err() != nil {
				t.Errorf("canceled before Wait: %v", ctx.Err())
			}
			if err := g.Wait(); err != nil || !errors.Is(context.Cause(ctx), context.Canceled) {
				t.Errorf("Wait: %v, cause %v", err, context.Cause(ctx))
			}
		},
		"limit blocks Go": func(t *testing.T, zero func() group, _ func(context.Context) (group, context.Context)) {
			g := zero()
			g.SetLimit(2)
			var active, most atomic.Int64
			start := time.Now()
			for range 6 {
				g.Go(func() error {
					most.Store(max(most.Load(), active.Add(1)))
					time.Sleep(time.Second)
					active.Add(-1)
					return nil
				})
			}
			if blocked := time.Since(start); blocked != 2*time.Second {
				t.Errorf("Go blocked for %v in all", blocked)
			}
			_ = g.Wait()
			if most.Load() != 2 {
				t.Errorf("%d were active at once", most.Load())
			}
		},
		"TryGo": func(t *testing.T, zero func() group, _ func(context.Context) (group, context.Context)) {
			g := zero()
			g.SetLimit(1)
			got := fmt.Sprint(g.TryGo(fail(time.Second, first)), g.TryGo(fail(0, nil)))
			_ = g.Wait()
			got += fmt.Sprint(" ", g.TryGo(fail(0, second)), g.Wait())
			g.SetLimit(-1)
			got += fmt.Sprint(" ", g.TryGo(fail(time.Second, nil)), g.TryGo(fail(0, nil)))
			_ = g.Wait()
			if want := "true false true first true true"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		},
		"limit 0 lets none start": func(t *testing.T, zero func() group, _ func(context.Context) (group, context.Context)) {
			g := zero()
			g.SetLimit(0)
			if g.TryGo(fail(0, nil)) {
				t.Error("one started")
			}
		},
		"SetLimit of an active group panics": func(t *testing.T, zero func() group, _ func(context.Context) (group, context.Context)) {
			g := zero()
			g.SetLimit(2)
			g.Go(fail(time.Second, nil))
			defer func() {
				if v := fmt.Sprint(recover()); !strings.Contains(v, "limit") || !strings.Contains(v, "1") {
					t.Errorf("recovered %q", v)
				}
				_ = g.Wait()
			}()
			g.SetLimit(3)
		},
		"Goexit is no error and gives the slot back": func(t *testing.T, zero func() group, _ func(context.Context) (group, context.Context)) {
			g := zero()
			g.SetLimit(1)
			for range 3 {
				g.Go(func() error { runtime.Goexit(); return first })
			}
			if err := g.Wait(); err != nil {
				t.Errorf("Wait: %v", err)
			}
		},
	}
	for what, behaves := range behaviours {
		t.Run(what, func(t *testing.T) {
			for name, g := range groups(t) {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { behaves(t, g.zero, g.withContext) })
				})
			}
		})
	}
}

func TestGroupsSettings(t *testing.T) {
	pooltest.Settings(t, "group", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		s, err := pools.NewGroups(name, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		use := func() {
			g := s.Group()
			g.Go(func() error { return nil })
			if err := g.Wait(); err != nil {
				t.Error(err)
			}
		}
		return pooltest.Pool{Use: use, Close: s.Close}, nil
	})
}

func TestGroupsReportWhatTheyDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := pools.NewGroups(t.Name(), instrument.WithExactTiming())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		g := s.Group()
		g.SetLimit(1)
		end := func(how error) func() error {
			return func() error { time.Sleep(2 * time.Second); return how }
		}
		g.Go(end(nil))
		if g.TryGo(end(nil)) {
			t.Error("a second one started")
		}
		second := make(chan bool)
		go func() {
			g.Go(end(errTask))
			close(second)
		}()
		time.Sleep(time.Second)
		st := s.Stats()
		if st.Pending.Or(0) != 1 || st.PendingAge.Or(0) != time.Second || st.Usage[instrument.Used].Or(0) != 1 || st.UseTime.Or(0) != 1 {
			t.Errorf("Stats %+v", st)
		}
		<-second
		_ = g.Wait()
		other, _ := s.WithContext(t.Context())
		other.Go(func() error { runtime.Goexit(); return nil })
		_ = other.Wait()
		st = s.Stats()
		if st.Completed[instrument.OK].Or(0) != 1 || st.Completed[instrument.Failed].Or(0) != 1 || st.Completed[instrument.Exited].Or(0) != 1 ||
			st.Requests[instrument.Rejected].Or(0) != 1 || st.Pending.Or(1) != 0 {
			t.Errorf("Stats %+v", st)
		}
		seconds(t, "acquired", st.Wait[instrument.Acquired], 3, 2)
		seconds(t, "uses", st.Use, 3, 4)
		if _, ok := st.Limit.Get(); ok {
			t.Error("a limit for any number of groups")
		}
	})
}

func TestGroupsUnderLoad(t *testing.T) {
	s, err := pools.NewGroups(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var in pooltest.Invariants
	last := in.HoldUnder(t, s.Stats, func() {
		var outer pools.Group
		for range 4 {
			outer.Go(func() error {
				g, _ := s.WithContext(t.Context())
				g.SetLimit(3)
				for range 500 {
					g.Go(func() error { runtime.Gosched(); return nil })
				}
				return g.Wait()
			})
		}
		if err := outer.Wait(); err != nil {
			t.Error(err)
		}
	})
	if n := last.Completed[instrument.OK].Or(0); n != 2000 {
		t.Errorf("%d functions completed", n)
	}
}
