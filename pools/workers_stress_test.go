package pools_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// outcomes counts the results of calls to Submit, and the tasks that ran, for comparison with the
// Stats.
type outcomes struct {
	calls, accepted, rejected, canceled, closed, ran atomic.Int64
}

func (o *outcomes) task(context.Context) error {
	o.ran.Add(1)
	return nil
}

func (o *outcomes) count(t testing.TB, err error) {
	o.calls.Add(1)
	switch {
	case err == nil:
		o.accepted.Add(1)
	case errors.Is(err, pools.ErrFull):
		o.rejected.Add(1)
	case errors.Is(err, pools.ErrClosed):
		o.closed.Add(1)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		o.canceled.Add(1)
	default:
		t.Errorf("Submit: %v", err)
	}
}

// check compares the counts with s, the last Stats of the pool, which must have drained.
func (o *outcomes) check(t testing.TB, s instrument.Stats) {
	t.Helper()
	if o.ran.Load() != o.accepted.Load() {
		t.Errorf("%d tasks ran, want the %d that were accepted", o.ran.Load(), o.accepted.Load())
	}
	got := [...]int64{
		s.Requests[instrument.Acquired].Or(
			-1,
		),
		s.Requests[instrument.Rejected].Or(-1),
		s.Requests[instrument.WasClosed].Or(-1),
		s.Requests[instrument.Canceled].Or(-1) + s.Requests[instrument.TimedOut].Or(-1),
	}
	if want := [...]int64{o.accepted.Load(), o.rejected.Load(), o.closed.Load(), o.canceled.Load()}; got != want {
		t.Errorf("acquired, rejected, closed, canceled: %v, want %v", got, want)
	}
}

// Stats never shows more workers in use than the limit. A pool that sums its counters in the wrong
// order may do so in every reading under load.
func TestFaultWorkersInUseAboveLimit(t *testing.T) {
	p := newWorkers(t, 3, pools.WorkersConfig{Queue: 8})
	var in pooltest.Invariants
	var o outcomes
	s := in.HoldUnder(t, p.Stats, func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 2000 {
					if i%3 == 0 {
						o.count(t, p.TrySubmit(o.task))
					} else {
						o.count(t, p.Submit(t.Context(), o.task))
					}
				}
			})
		}
		wg.Wait()
		o.count(t, p.Shutdown(t.Context()))
		o.calls.Add(-1)
		o.accepted.Add(-1)
	})
	o.check(t, s)
}

// Calls to Submit and Shutdown may race (sourcegraph/conc#103, alitto/pond#33).
func TestFaultSubmitRacingShutdown(t *testing.T) {
	for range 200 {
		p, err := pools.NewWorkers(t.Name(), 2, pools.WorkersConfig{Queue: 2})
		if err != nil {
			t.Fatal(err)
		}
		var o outcomes
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					o.count(t, p.Submit(t.Context(), o.task))
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				runtime.Gosched()
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if ran := o.ran.Load(); ran != p.Stats().Requests[instrument.Acquired].Or(-1) {
					t.Errorf("%d tasks had run when Shutdown returned, want all that were acquired", ran)
				}
			})
		}
		wg.Wait()
		o.check(t, p.Stats())
	}
}

func TestWorkersStress(t *testing.T) {
	p := newWorkers(
		t,
		4,
		pools.WorkersConfig{Queue: 4, IdleTimeout: time.Millisecond, OnPanic: func(*pools.PanicError) {}},
	)
	in := pooltest.Invariants{Shrinks: true}
	var o outcomes
	s := in.HoldUnder(t, p.Stats, func() {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { stressWorkers(t, p, &o, rand.New(rand.NewPCG(uint64(i), 7))) })
		}
		wg.Go(func() {
			for i := range 500 {
				if err := p.Resize(1 + i%7); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
			}
		})
		wg.Wait()
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	o.check(t, s)
}

// stressWorkers submits tasks that end in all possible ways, some with contexts that end soon.
func stressWorkers(t *testing.T, p *pools.Workers, o *outcomes, r *rand.Rand) {
	for range 500 {
		ending := r.IntN(8)
		task := func(ctx context.Context) error {
			_ = o.task(ctx)
			switch ending {
			case 0:
				panic("stress")
			case 1:
				runtime.Goexit()
			case 2:
				return errTask
			case 3:
				runtime.Gosched()
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		if r.IntN(3) == 0 {
			go cancel()
		}
		o.count(t, p.Submit(ctx, task))
		cancel()
	}
}

func TestWorkersCancelStorm(t *testing.T) {
	p := newWorkers(t, 8, pools.WorkersConfig{Queue: 16})
	var o outcomes
	var wg sync.WaitGroup
	for i := range 10_000 {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			defer cancel()
			o.count(t, p.Submit(ctx, o.task))
		})
		if i%2 == 0 {
			wg.Go(cancel)
		}
	}
	wg.Wait()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	o.check(t, p.Stats())
	if o.calls.Load() != 10_000 || o.canceled.Load() == 0 {
		t.Errorf("%d calls, %d of them canceled; want 10,000, some canceled", o.calls.Load(), o.canceled.Load())
	}
}

func TestWorkersAllocateNothing(t *testing.T) {
	for name, queue := range map[string]int{"with room": 1024, "blocked": 1} {
		p, err := pools.NewWorkers(name, 2, pools.WorkersConfig{Queue: queue})
		if err != nil {
			t.Fatal(err)
		}
		submit := func() {
			for range 1000 {
				if err := p.Submit(context.Background(), noop); err != nil {
					t.Fatal(err)
				}
			}
		}
		// measured over 1,000 tasks, since the garbage collector may empty the sync.Pool
		if n := testing.AllocsPerRun(10, submit); n > 50 && !raceEnabled {
			t.Errorf("%s: %v allocations for 1000 tasks, want at most 50", name, n)
		}
		p.Close()
	}
}

// A burst of long tasks is timed exactly: each reading includes the time of running tasks and the
// age of the oldest waiting task.
func TestBurstOfLongTasksIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 4, pools.WorkersConfig{Queue: 2000})
		for range 2000 {
			mustSubmit(t, p, sleep(25*time.Second))
		}
		for passed := 10; passed < 2000*25/4; passed += 10 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			s := p.Stats()
			if got := s.UseTime.Or(0); math.Abs(got-4*float64(passed)) > 1e-3 {
				t.Fatalf("use time %v s after %d s with 4 workers, want %d s", got, passed, 4*passed)
			}
			if age, waits := s.PendingAge.Get(); waits && age != time.Duration(passed)*time.Second {
				t.Fatalf("pending age %v after %d s, want the same", age, passed)
			}
		}
	})
}
