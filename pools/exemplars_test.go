package pools_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// waitingPool is a pool of one slot whose requests can be made to wait.
type waitingPool struct {
	name string
	// open returns the pool, and a function that acquires a slot and releases it after hold
	open func(t *testing.T) (use func(ctx context.Context, hold time.Duration) error, p observed)
}

type observed interface {
	Stats() instrument.Stats
	Close()
}

func waitingPools() []waitingPool {
	type useFunc = func(context.Context, time.Duration) error
	resources := func(end func(pools.Lease[int])) func(t *testing.T) (useFunc, observed) {
		return func(t *testing.T) (useFunc, observed) {
			p := newNumbers(t, 1)
			return func(ctx context.Context, hold time.Duration) error {
				l, err := p.Acquire(ctx)
				if err != nil {
					return err
				}
				time.Sleep(hold)
				end(l)
				return nil
			}, p
		}
	}
	return []waitingPool{
		{"semaphore", func(t *testing.T) (useFunc, observed) {
			s, err := pools.NewSemaphore(t.Name(), 1, pools.SemaphoreConfig{})
			if err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context, hold time.Duration) error {
				if err := s.Acquire(ctx, 1); err != nil {
					return err
				}
				time.Sleep(hold)
				s.Release(1)
				return nil
			}, s
		}},
		{"resources", resources(pools.Lease[int].Release)},
		{"resources that are destroyed", resources(pools.Lease[int].Destroy)},
	}
}

// A request that is waiting when its pool is closed leaves an exemplar with outcome closed.
func TestExemplarOfWaitEndedByClose(t *testing.T) {
	for _, c := range waitingPools() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				use, p := c.open(t)
				done := make(chan error, 2)
				go func() { done <- use(t.Context(), 3*time.Second) }()
				synctest.Wait()
				go func() { done <- use(pooltest.InTrace(t.Context(), 1), 0) }()
				time.Sleep(time.Second)
				go p.Close()
				if err := <-done; !errors.Is(err, pools.ErrClosed) {
					t.Errorf("waiting request: error %v, want ErrClosed", err)
				}
				got := p.Stats().Exemplars
				if len(got) != 1 || got[0].Outcome != instrument.WasClosed || got[0].Wait != time.Second {
					t.Errorf("exemplars %+v, want one that waited 1 s until the pool was closed", got)
				}
				if err := <-done; err != nil {
					t.Errorf("use in progress: error %v, want none", err)
				}
			})
		})
	}
}

func TestExemplarOfLongestWait(t *testing.T) {
	for _, c := range waitingPools() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				use, p := c.open(t)
				defer p.Close()
				timedOut, cancel := context.WithTimeout(pooltest.InTrace(t.Context(), 4), 500*time.Millisecond)
				defer cancel()
				// each request waits for the requests before it
				for _, ctx := range []context.Context{
					t.Context(), pooltest.InTrace(t.Context(), 1), pooltest.InTrace(t.Context(), 2), t.Context(), timedOut,
				} {
					go func() {
						if err := use(ctx, time.Second); err != nil && !errors.Is(err, context.DeadlineExceeded) {
							t.Error(err)
						}
					}()
					synctest.Wait()
				}
				time.Sleep(10 * time.Second)
				got := p.Stats().Exemplars
				if len(got) != 2 {
					t.Fatalf("exemplars %+v, want one acquired and one timed out", got)
				}
				for i, want := range []instrument.Exemplar{
					{Outcome: instrument.Acquired, Wait: 2 * time.Second, Trace: trace.TraceID{2}},
					{Outcome: instrument.TimedOut, Wait: 500 * time.Millisecond, Trace: trace.TraceID{4}},
				} {
					want.Span, want.Ended = trace.SpanID{1}, got[i].Ended
					if ago := time.Since(want.Ended); got[i] != want || ago < 6*time.Second || ago > 10*time.Second {
						t.Errorf("exemplar %+v, ended %v ago; want %+v, ended 6 s to 10 s ago", got[i], ago, want)
					}
				}
			})
		})
	}
}

func TestExemplarOfTaskThatWaitedLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 10})
		defer p.Close()
		for id := range byte(4) {
			task := func(context.Context) error { time.Sleep(time.Second); return nil }
			if err := p.Submit(pooltest.InTrace(t.Context(), id), task); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		got := p.Stats().Exemplars
		if len(got) != 1 || got[0].Wait != 3*time.Second || got[0].Trace != (trace.TraceID{3}) {
			t.Errorf("exemplars %+v, want a wait of 3 s in trace 3", got)
		}
	})
}

func TestExemplarOfGroupCallThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, err := pools.NewGroups(t.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		g, _ := set.WithContext(pooltest.InTrace(t.Context(), 7))
		g.SetLimit(1)
		for range 2 {
			g.Go(func() error { time.Sleep(time.Second); return nil })
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		got := set.Stats().Exemplars
		if len(got) != 1 || got[0].Wait != time.Second || got[0].Trace != (trace.TraceID{7}) {
			t.Errorf("exemplars %+v, want a wait of 1 s in trace 7", got)
		}
	})
}

// A caller that gives up while a resource is being constructed for it has waited only until the
// construction began.
func TestExemplarOfWaitBeforeConstruction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := false
		construct := func(context.Context) (int, error) {
			if slow {
				time.Sleep(10 * time.Second)
			}
			return 1, nil
		}
		p, err := pools.NewResources(t.Name(), 1, construct, pools.ResourcesConfig[int]{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		l, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slow = true
		time.AfterFunc(time.Second, l.Destroy)
		ctx, cancel := context.WithTimeout(pooltest.InTrace(t.Context(), 5), 5*time.Second)
		defer cancel()
		if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Acquire: error %v, want DeadlineExceeded", err)
		}
		got := p.Stats().Exemplars
		want := instrument.Exemplar{Outcome: instrument.TimedOut, Wait: time.Second, Trace: trace.TraceID{5}}
		if len(got) != 1 || got[0].Outcome != want.Outcome || got[0].Wait != want.Wait || got[0].Trace != want.Trace {
			t.Errorf("exemplars %+v, want only %+v", got, want)
		}
	})
}

// The exemplar of a wait that ends when a construction begins has the duration of that wait, not of
// an earlier one.
func TestExemplarIsNotOfAnEarlierWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newNumbers(t, 1)
		defer p.Close()
		waitFor := func(ctx context.Context, hold time.Duration, end func(pools.Lease[int])) {
			l, err := p.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(hold, func() { end(l) })
			l, err = p.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			l.Release()
		}
		waitFor(t.Context(), 5*time.Second, pools.Lease[int].Release)
		waitFor(pooltest.InTrace(t.Context(), 1), time.Second, pools.Lease[int].Destroy)
		if got := p.Stats().Exemplars; len(got) != 1 || got[0].Wait != time.Second {
			t.Errorf("exemplars %+v, want one wait of 1 s", got)
		}
	})
}
