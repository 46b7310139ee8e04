package pools_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

func TestGroupsBehaveAsErrgroup(t *testing.T) {
	named, err := pools.NewGroups(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	t.Run("zero", func(t *testing.T) {
		pooltest.BehavesAsErrgroup(t, func() pooltest.Group { return new(pools.Group) },
			func(ctx context.Context) (pooltest.Group, context.Context) { return pools.WithContext(ctx) })
	})
	t.Run("named", func(t *testing.T) {
		pooltest.BehavesAsErrgroup(t, func() pooltest.Group { return named.Group() },
			func(ctx context.Context) (pooltest.Group, context.Context) { return named.WithContext(ctx) })
	})
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

func TestGroupsStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := pools.NewGroups(t.Name(), instrument.WithExactTiming())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		g := s.Group()
		g.SetLimit(1)
		f := func(err error) func() error {
			return func() error { time.Sleep(2 * time.Second); return err }
		}
		g.Go(f(nil))
		if g.TryGo(f(nil)) {
			t.Error("TryGo started a second function, want a limit of 1")
		}
		second := make(chan bool)
		go func() {
			g.Go(f(errTask))
			close(second)
		}()
		time.Sleep(time.Second)
		st := s.Stats()
		if st.Pending.Or(0) != 1 || st.PendingAge.Or(0) != time.Second || st.Usage[instrument.Used].Or(0) != 1 ||
			st.UseTime.Or(0) != 1 {
			t.Errorf("Stats %+v, want 1 used for 1 s, and 1 pending for 1 s", st)
		}
		<-second
		_ = g.Wait()
		other, _ := s.WithContext(t.Context())
		other.Go(func() error { runtime.Goexit(); return nil })
		_ = other.Wait()
		st = s.Stats()
		if st.Completed[instrument.OK].Or(0) != 1 || st.Completed[instrument.Failed].Or(0) != 1 ||
			st.Completed[instrument.Exited].Or(0) != 1 ||
			st.Requests[instrument.Rejected].Or(0) != 1 ||
			st.Pending.Or(1) != 0 {
			t.Errorf("Stats %+v, want 1 OK, 1 failed, 1 exited, 1 rejected and 0 pending", st)
		}
		wantDurations(t, "acquired", st.Wait[instrument.Acquired], 3, 2)
		wantDurations(t, "uses", st.Use, 3, 4)
		if _, ok := st.Limit.Get(); ok {
			t.Error("Limit is set, want it absent")
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
		t.Errorf("%d functions completed, want 2000", n)
	}
}
