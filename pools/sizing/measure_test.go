package sizing

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// station returns a resource with the given number of servers, which serves requests in fake time.
func station(servers int) chan struct{} { return make(chan struct{}, servers) }

func use(s chan struct{}, d time.Duration) {
	s <- struct{}{}
	time.Sleep(d)
	<-s
}

func testRNG() *rand.Rand { return rand.New(rand.NewPCG(16, 16)) }

// Four servers complete up to 400 tasks of 10 ms per second, whatever the window, and fewer if
// there are fewer than four workers.
func TestMeasureCountsPartsOfTasks(t *testing.T) {
	for _, c := range []struct {
		workers int
		window  time.Duration
		want    float64
	}{{1, 95 * ms, 100}, {3, 95 * ms, 300}, {4, 101 * ms, 400}, {16, 133 * ms, 400}, {64, 500 * ms, 400}} {
		synctest.Test(t, func(t *testing.T) {
			cpus := station(4)
			measure := measureTask(func(context.Context) error { use(cpus, 10*ms); return nil }, testRNG())
			got, err := measure(t.Context(), c.workers, 400*ms, c.window)
			if err != nil || math.Abs(got.rate/c.want-1) > 0.03 {
				t.Errorf(
					"%d workers, window of %v: got %.1f tasks per second, %v, want %.0f",
					c.workers,
					c.window,
					got.rate,
					err,
					c.want,
				)
			}
		})
	}
}

// When the window closes during a long task, the other worker continues until that task has ended.
func TestWorkersContinueUntilAllHaveFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int64
		var long atomic.Bool
		alone := 0
		measure := measureTask(func(context.Context) error {
			inside.Add(1)
			defer inside.Add(-1)
			if !long.CompareAndSwap(false, true) {
				time.Sleep(7 * ms)
				return nil
			}
			time.Sleep(100 * ms)
			long.Store(false)
			if inside.Load() < 2 {
				alone++
			}
			return nil
		}, testRNG())
		if _, err := measure(t.Context(), 2, 50*ms, 210*ms); err != nil || alone > 0 {
			t.Errorf("%d long tasks ended while no other task ran, error %v", alone, err)
		}
	})
}

func TestOverlapIsTheFractionWithinTheWindow(t *testing.T) {
	at := func(d int) time.Time { return time.Unix(0, 0).Add(time.Duration(d) * ms) }
	for _, c := range []struct {
		begin, end int
		want       float64
	}{{0, 5, 0}, {5, 15, 0.5}, {12, 14, 1}, {15, 35, 0.25}, {20, 30, 0}, {0, 100, 0.1}, {12, 12, 0}} {
		if got := overlap(at(c.begin), at(c.end), at(10), at(20)); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%d–%d: got a fraction of %v within 10–20, want %v", c.begin, c.end, got, c.want)
		}
	}
}

func TestSweepFindsTheKneeOfGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cpus := station(6)
		work := func(context.Context) error { use(cpus, 5*ms); time.Sleep(5 * ms); return nil }
		var progress []SweepProgress
		r, err := Sweep(t.Context(), work, SweepOptions{
			Seed: 1, Max: 128, Progress: func(p SweepProgress) { progress = append(progress, p) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Knee < 10 || r.Knee > 14 || !r.Clear || r.Elapsed > time.Minute {
			t.Errorf("six servers for half of each task: got %+v, want a clear knee at 12", r)
		}
		last := progress[len(progress)-1]
		if last.Known.Knee == 0 || last.Elapsed+last.Left != defaultBudget || progress[0].Workers != 1 {
			t.Errorf("got first progress %+v and last progress %+v", progress[0], last)
		}
	})
}

func TestSweepReturnsItsResultSoFarWhenCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		cpus := station(3)
		r, err := Sweep(ctx, func(context.Context) error { use(cpus, 10*ms); return nil }, SweepOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || r.Knee < 2 || r.Knee > 4 || len(r.Curve) < 4 || r.Clear {
			t.Errorf("got %+v, %v, want the result after two seconds", r, err)
		}
	})
}

func TestSweepStopsWithinItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cpus := station(8)
		r, err := Sweep(t.Context(), func(context.Context) error { use(cpus, time.Second); return nil },
			SweepOptions{Budget: 20 * time.Second})
		if err != nil || r.Clear || r.Knee == 0 || r.Elapsed > 30*time.Second {
			t.Errorf("tasks of a second: got %+v, %v, want an unclear result after about 20s", r, err)
		}
		if !strings.Contains(r.String(), "before this was clear") && !r.Rising {
			t.Errorf("got %q, want it to say that the result is not clear", r)
		}
	})
}

func TestSweepOfIndependentTasksRisesToMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Sweep(
			t.Context(),
			func(context.Context) error { time.Sleep(10 * ms); return nil },
			SweepOptions{Max: 12},
		)
		if err != nil || !r.Rising || r.Curve[len(r.Curve)-1].Workers != 12 || r.Knee != 12 {
			t.Errorf("tasks that share nothing: got %+v, %v, want a knee at 12 and a rising curve", r, err)
		}
	})
}

var errRefused = errors.New("connection refused")

func TestSizesWithFailingTasksAreNotOnTheCurve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int64
		r, err := Sweep(t.Context(), func(context.Context) error {
			defer inside.Add(-1)
			busy := inside.Add(1) > 20
			time.Sleep(10 * ms)
			if busy {
				return errRefused
			}
			return nil
		}, SweepOptions{Budget: 10 * time.Second})
		if err != nil || r.FailedAt < 21 || r.FailedAt > 32 || !errors.Is(r.FailedWith, errRefused) {
			t.Errorf("got %+v, %v, want FailedAt between 21 and 32", r, err)
		}
		for _, p := range r.Curve {
			if p.Workers >= r.FailedAt {
				t.Errorf("the curve contains %d workers, although tasks fail from %d on", p.Workers, r.FailedAt)
			}
		}
	})
}

func TestATaskThatAlwaysFailsIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := Sweep(t.Context(), func(context.Context) error { time.Sleep(ms); return errRefused }, SweepOptions{})
		if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "with one worker") {
			t.Errorf("got %v, want an error that says that the task failed with one worker", err)
		}
	})
}

func TestPanicAndGoexitAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		task func(context.Context) error
		want string
	}{
		"panic": {func(context.Context) error { panic("boom") }, "panicked: boom"},
		"exit":  {func(context.Context) error { runtime.Goexit(); return nil }, "runtime.Goexit"},
	} {
		if _, err := Sweep(t.Context(), c.task, SweepOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q", name, err, c.want)
		}
	}
}

func TestSweepRejectsInvalidOptions(t *testing.T) {
	work := func(context.Context) error { return nil }
	for name, sweep := range map[string]func() (SweepResult, error){
		"nil task":    func() (SweepResult, error) { return Sweep(t.Context(), nil, SweepOptions{}) },
		"Max < 0":     func() (SweepResult, error) { return Sweep(t.Context(), work, SweepOptions{Max: -1}) },
		"Max too big": func() (SweepResult, error) { return Sweep(t.Context(), work, SweepOptions{Max: maxSlots + 1}) },
		"Budget < 0":  func() (SweepResult, error) { return Sweep(t.Context(), work, SweepOptions{Budget: -1}) },
	} {
		if _, err := sweep(); err == nil {
			t.Errorf("%s: Sweep returned no error", name)
		}
	}
}

// For a task that only computes, the knee is this machine's number of CPUs.
func TestSweepOnThisMachine(t *testing.T) {
	if os.Getenv("E2E_FULL") == "" {
		t.Skip("depends on the machine: set E2E_FULL=1")
	}
	spin := func(context.Context) error {
		x := uint64(1)
		for range 200_000 {
			x = x*6364136223846793005 + 1
		}
		if x == 0 {
			return errRefused
		}
		return nil
	}
	r, err := Sweep(t.Context(), spin, SweepOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if r.Knee != runtime.GOMAXPROCS(0) {
		t.Errorf("got a knee of %d for a busy loop, want GOMAXPROCS, %d: %+v", r.Knee, runtime.GOMAXPROCS(0), r)
	}
	_ = r.WriteCurve(os.Stderr)
}
