package wrap_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func mustGroups(t testing.TB, opts ...instrument.Option) *wrap.Groups {
	t.Helper()
	s, err := wrap.NewGroups(t.Name(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestGroupsBehaveAsErrgroup(t *testing.T) {
	s := mustGroups(t)
	pooltest.BehavesAsErrgroup(t, func() pooltest.Group { return s.Group(new(errgroup.Group)) },
		func(ctx context.Context) (pooltest.Group, context.Context) { return s.WithContext(ctx) })
}

func TestGroupsTelemetrySettings(t *testing.T) {
	pooltest.Settings(t, "group", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		s, err := wrap.NewGroups(name, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		return pooltest.Pool{Close: s.Close, Use: func() {
			g := s.Group(new(errgroup.Group))
			g.Go(func() error { return nil })
			_ = g.Wait()
		}}, nil
	})
}

func TestGroupsStats(t *testing.T) {
	errTask := errors.New("task")
	synctest.Test(t, func(t *testing.T) {
		s := mustGroups(t)
		g := s.Group(new(errgroup.Group))
		g.SetLimit(1)
		sleepAndReturn := func(err error) func() error {
			return func() error { time.Sleep(2 * time.Second); return err }
		}
		g.Go(sleepAndReturn(nil))
		if g.TryGo(sleepAndReturn(nil)) {
			t.Error("TryGo started a second function despite a limit of 1")
		}
		go g.Go(sleepAndReturn(errTask))
		time.Sleep(time.Second)
		st := s.Stats()
		if st.Pending.Or(0) != 1 || st.PendingAge.Or(0) != time.Second || st.Usage[instrument.Used].Or(0) != 1 ||
			st.UseTime.Or(0) != 1 {
			t.Errorf("after 1 s: got %+v, want one pending for 1s and one used for 1s", st)
		}
		time.Sleep(4 * time.Second)
		if err := g.Wait(); !errors.Is(err, errTask) {
			t.Error(err)
		}
		other, _ := s.WithContext(t.Context())
		other.Go(func() error { runtime.Goexit(); return nil })
		_ = other.Wait()
		st = s.Stats()
		for what, got := range map[string][2]int64{
			"ok":       {st.Completed[instrument.OK].Or(0), 1},
			"error":    {st.Completed[instrument.Failed].Or(0), 1},
			"exit":     {st.Completed[instrument.Exited].Or(0), 1},
			"acquired": {st.Requests[instrument.Acquired].Or(0), 3},
			"rejected": {st.Requests[instrument.Rejected].Or(0), 1},
			"pending":  {st.Pending.Or(1), 0},
			"used":     {st.Usage[instrument.Used].Or(1), 0},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: got %d, want %d", what, got[0], got[1])
			}
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 3 || w.Zeros() != 2 || w.Sum() != 2 {
			t.Errorf("got %d waits, %v s in total, %d of 0; want 3, 2 s, 2", w.Count(), w.Sum(), w.Zeros())
		}
		if st.Use.Count() != 3 || st.Use.Sum() != 4 {
			t.Errorf("got %d uses, %v s in total; want 3, 4 s", st.Use.Count(), st.Use.Sum())
		}
		if _, ok := st.Limit.Get(); ok {
			t.Error("a limit is reported, although there may be any number of groups")
		}
	})
}

func TestGroupsInvariantsUnderLoad(t *testing.T) {
	s := mustGroups(t)
	const groups, each, limit = 4, 2000, 3
	var in pooltest.Invariants
	last := in.HoldUnder(t, func() instrument.Stats {
		st := s.Stats()
		st.Limit = instrument.Some(int64(groups * limit)) // so that used slots are checked against it
		return st
	}, func() {
		var outer errgroup.Group
		for range groups {
			outer.Go(func() error {
				g, _ := s.WithContext(t.Context())
				g.SetLimit(limit)
				for range each {
					g.Go(func() error { runtime.Gosched(); return nil })
				}
				return g.Wait()
			})
		}
		if err := outer.Wait(); err != nil {
			t.Error(err)
		}
	})
	if n := last.Completed[instrument.OK].Or(0); n != groups*each {
		t.Errorf("got %d functions completed, want %d", n, groups*each)
	}
}
