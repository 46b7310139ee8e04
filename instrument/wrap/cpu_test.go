package wrap_test

import (
	"bytes"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// forEachRunner runs test as a subtest for each kind of pool that runs functions. run creates a
// pool, calls f n times in it, one call after the other, and returns the Stats.
func forEachRunner(
	t *testing.T,
	test func(t *testing.T, run func(n int, f func(), opts ...instrument.Option) instrument.Stats),
) {
	if !thread.HasMeter {
		t.Skip("this system does not report the measurements of a thread")
	}
	t.Run("group", func(t *testing.T) {
		test(t, func(n int, f func(), opts ...instrument.Option) instrument.Stats {
			s, err := wrap.NewGroups(t.Name(), opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			g := s.Group(new(errgroup.Group))
			for range n {
				g.Go(func() error { f(); return nil })
				_ = g.Wait() // cannot fail
			}
			return s.Stats()
		})
	})
	t.Run("task pool", func(t *testing.T) {
		test(t, func(n int, f func(), opts ...instrument.Option) instrument.Stats {
			s, b := mustTasks(t, 1, opts...)
			for range n {
				_ = s.Submit(f)
				b.slots <- struct{}{} // waits until the task has ended
				<-b.slots
			}
			return s.Stats()
		})
	})
}

func TestCPUTimesAddUpToUse(t *testing.T) {
	forEachRunner(t, func(t *testing.T, run func(int, func(), ...instrument.Option) instrument.Stats) {
		synctest.Test(t, func(t *testing.T) {
			s := run(2000, func() { time.Sleep(time.Millisecond) })
			var total float64
			for _, v := range s.CPUTime {
				total += v.Or(math.NaN())
			}
			if !(math.Abs(total-2) < 1e-6) || s.UseTime.Or(0) != 2 {
				t.Errorf("CPU states add up to %v s and uses to %v s, want 2", total, s.UseTime.Or(0))
			}
		})
	})
}

// Neither the first tasks nor long tasks are sampled, since they may communicate with each other,
// and a sampled task is locked to its thread.
func TestFirstAndLongTasksAreNotSampled(t *testing.T) {
	for _, c := range []struct {
		name     string
		n        int
		duration time.Duration
	}{{"first", 1000, time.Millisecond}, {"long", 300, 10 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			forEachRunner(t, func(t *testing.T, run func(int, func(), ...instrument.Option) instrument.Stats) {
				synctest.Test(t, func(t *testing.T) {
					locked := 0 // tasks run one at a time
					run(c.n, func() {
						if isLocked() {
							locked++
						}
						time.Sleep(c.duration)
					}, instrument.WithCPUSamples(100_000))
					if locked != 0 {
						t.Errorf("%d of %d tasks were locked to their thread, want 0", locked, c.n)
					}
				})
			})
		})
	}
}

func TestCPUSamplingCanBeDisabled(t *testing.T) {
	forEachRunner(t, func(t *testing.T, run func(int, func(), ...instrument.Option) instrument.Stats) {
		for _, off := range []instrument.Option{instrument.WithCPUSamples(0), instrument.WithoutTelemetry()} {
			if s := run(3, func() {}, off); s.CPUTime != [3]instrument.Optional[float64]{} {
				t.Errorf("got CPU times %v although sampling is disabled", s.CPUTime)
			}
		}
	})
}

// A sampled function's goroutine is unlocked from its thread even if the function calls Goexit.
// Otherwise, the thread would terminate together with the goroutine.
func TestSampledFunctionsAreUnlocked(t *testing.T) {
	forEachRunner(t, func(t *testing.T, run func(int, func(), ...instrument.Option) instrument.Stats) {
		synctest.Test(t, func(t *testing.T) {
			var locked atomic.Int64
			s := run(2000, func() {
				if isLocked() {
					locked.Add(1)
				}
				time.Sleep(time.Millisecond)
				runtime.Goexit()
			}, instrument.WithCPUSamples(10))
			if n := locked.Load(); n == 0 || n > 250 {
				t.Errorf("%d of 2000 functions were locked to their thread, want 1 to 250", n)
			}
			if _, known := s.CPUTime[instrument.OnCPU].Get(); !known {
				t.Error("got no CPU time")
			}
		})
	})
}

func TestWorkerIsUnlockedAfterTask(t *testing.T) {
	s, err := wrap.NewTaskPool(t.Name(), "caller", inCaller{}, instrument.WithCPUSamples(1000))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, task := range []func(){func() {}, func() { panic("test panic") }} {
			func() {
				defer func() { _ = recover() }()
				_ = s.Submit(task)
			}()
			if isLocked() {
				t.Error("the goroutine is still locked to its thread after the task")
			}
		}
	})
	wg.Wait()
}

// inCaller runs tasks in the goroutine that submits them.
type inCaller struct{}

func (inCaller) Submit(task func()) error { task(); return nil }
func (inCaller) Running() int             { return 0 }
func (inCaller) Waiting() int             { return 0 }
func (inCaller) Cap() int                 { return 0 }

// isLocked reports whether the calling goroutine is locked to its thread.
func isLocked() bool {
	buf := make([]byte, 200)
	return bytes.Contains(buf[:runtime.Stack(buf, false)], []byte("locked to thread"))
}
