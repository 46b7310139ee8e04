package pools_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

func newWorkers(t testing.TB, n int, cfg pools.WorkersConfig, opts ...instrument.Option) *pools.Workers {
	t.Helper()
	p, err := pools.NewWorkers(t.Name(), n, cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func mustSubmit(t testing.TB, p *pools.Workers, task pools.Task) {
	t.Helper()
	if err := p.Submit(t.Context(), task); err != nil {
		t.Fatal(err)
	}
}

func sleep(d time.Duration) pools.Task {
	return func(context.Context) error {
		time.Sleep(d)
		return nil
	}
}

func nothing(context.Context) error { return nil }

func TestWorkersSettings(t *testing.T) {
	pooltest.Settings(t, "worker", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		p, err := pools.NewWorkers(name, 1, pools.WorkersConfig{}, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		submitted := int64(0)
		use := func() {
			mustSubmit(t, p, nothing)
			submitted++
			for p.Stats().Completed[instrument.OK].Or(0) < submitted {
				runtime.Gosched()
			}
		}
		return pooltest.Pool{Use: use, Close: p.Close}, nil
	})
}

func TestNewWorkersRejectsInvalidSizes(t *testing.T) {
	for name, try := range map[string]struct {
		n   int
		cfg pools.WorkersConfig
	}{
		"no workers":       {0, pools.WorkersConfig{}},
		"negative workers": {-1, pools.WorkersConfig{}},
		"negative bound":   {1, pools.WorkersConfig{MaxPending: -1}},
	} {
		if _, err := pools.NewWorkers(name, try.n, try.cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names the pool", name, err)
		}
	}
	if _, err := pools.NewWorkers("", 1, pools.WorkersConfig{}); err == nil {
		t.Error("a pool without a name is accepted")
	}
	newWorkers(t, 1, pools.WorkersConfig{})
	if _, err := pools.NewWorkers(t.Name(), 1, pools.WorkersConfig{}); !errors.Is(err, instrument.ErrNameInUse) {
		t.Errorf("a second pool of the name: %v", err)
	}
}

func TestQueueHolds1024TasksByDefault(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	end := make(chan struct{})
	defer close(end)
	mustSubmit(t, p, func(context.Context) error { <-end; return nil })
	queued := 0
	for p.TrySubmit(nothing) == nil {
		queued++
	}
	if queued != 1024 {
		t.Errorf("%d tasks are queued", queued)
	}
}

func TestSubmitOfNilPanics(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	for name, submit := range map[string]func(){
		"Submit":    func() { _ = p.Submit(t.Context(), nil) },
		"TrySubmit": func() { _ = p.TrySubmit(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of nil returned", name)
				}
			}()
			submit()
		}()
	}
}

// seconds checks the count and the sum of a histogram.
func seconds(t *testing.T, what string, h *instrument.Histogram, count uint64, sum float64) {
	t.Helper()
	if h == nil || h.Count() != count || math.Abs(h.Sum()-sum) > 1e-9 {
		t.Errorf("%s: %d of %v s in all, want %d of %v s", what, h.Count(), h.Sum(), count, sum)
	}
}

func TestWorkersTimesAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 1}, instrument.WithExactTiming())
		mustSubmit(t, p, sleep(2*time.Second))
		synctest.Wait()
		time.Sleep(time.Second)
		mustSubmit(t, p, sleep(3*time.Second)) // waits 1 s in the queue
		go func() {
			mustSubmit(t, p, sleep(4*time.Second)) // blocks 1 s and waits 3 s in the queue
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := p.Submit(ctx, nothing); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Submit until a deadline: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(250*time.Millisecond, cancel)
		if err := p.Submit(ctx, nothing); !errors.Is(err, context.Canceled) {
			t.Errorf("Submit that is canceled: %v", err)
		}
		if age := p.Stats().PendingAge.Or(0); age != 750*time.Millisecond {
			t.Errorf("the oldest task has waited %v", age)
		}
		if used := p.Stats().UseTime.Or(0); used != 1.75 {
			t.Errorf("use time %v with a task in progress", used)
		}
		time.Sleep(time.Minute)
		s := p.Stats()
		seconds(t, "acquired", s.Wait[instrument.Acquired], 3, 0+1+4)
		seconds(t, "timeout", s.Wait[instrument.TimedOut], 1, 0.5)
		seconds(t, "canceled", s.Wait[instrument.Canceled], 1, 0.25)
		seconds(t, "uses", s.Use, 3, 2+3+4)
		if used := s.UseTime.Or(0); used != 9 {
			t.Errorf("use time %v", used)
		}
		if _, ok := s.PendingAge.Get(); ok {
			t.Error("an age of nothing")
		}
	})
}

func TestLongTasksAreTimedWithoutBeingExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{})
		for range 100 {
			mustSubmit(t, p, sleep(time.Second))
		}
		time.Sleep(time.Hour)
		s := p.Stats()
		seconds(t, "uses", s.Use, 100, 100)
		seconds(t, "acquired", s.Wait[instrument.Acquired], 100, 2*(49*50/2))
	})
}

func TestWorkersWithoutTelemetryAreNotTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 1}, instrument.WithoutTelemetry())
		for range 4 {
			mustSubmit(t, p, sleep(time.Second))
		}
		_, aged := p.Stats().PendingAge.Get()
		time.Sleep(time.Minute)
		s := p.Stats()
		if aged || s.Use != nil || s.Wait[instrument.Acquired] != nil || s.Completed[instrument.OK].Or(0) != 4 {
			t.Errorf("Stats %+v", s)
		}
	})
}

func TestTaskTimeoutLeavesOutTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{TaskTimeout: 3 * time.Second}, instrument.WithExactTiming())
		task := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(2 * time.Second):
				return nil
			}
		}
		for range 5 {
			mustSubmit(t, p, task)
		}
		mustSubmit(t, p, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		time.Sleep(time.Minute)
		s := p.Stats()
		if s.Completed[instrument.OK].Or(0) != 5 || s.Completed[instrument.Failed].Or(0) != 1 {
			t.Errorf("completed %v", s.Completed)
		}
		seconds(t, "uses", s.Use, 6, 5*2+3)
	})
}

func TestIdleWorkersAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 8, pools.WorkersConfig{IdleTimeout: 10 * time.Second})
		idle := func() int64 { return p.Stats().Usage[instrument.Idle].Or(-1) }
		if n := idle(); n != 0 {
			t.Errorf("%d workers before the first task", n)
		}
		for range 8 {
			mustSubmit(t, p, sleep(time.Second))
		}
		time.Sleep(2 * time.Second)
		if n := idle(); n != 8 {
			t.Errorf("%d idle workers after 8 tasks", n)
		}
		for range 25 { // the worker that is needed stays
			mustSubmit(t, p, sleep(time.Second/2))
			time.Sleep(time.Second)
		}
		if n := idle(); n != 1 {
			t.Errorf("%d idle workers while one is needed", n)
		}
		time.Sleep(21 * time.Second)
		if n := idle(); n != 0 {
			t.Errorf("%d workers after all were idle", n)
		}
	})
}

func TestWorkersResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{})
		for range 20 {
			mustSubmit(t, p, sleep(time.Second))
		}
		synctest.Wait()
		used := func() int64 { synctest.Wait(); return p.Stats().Usage[instrument.Used].Or(-1) }
		resize := func(n int, want int64) {
			t.Helper()
			if err := p.Resize(n); err != nil {
				t.Fatal(err)
			}
			if got := used(); got != want || p.Stats().Limit.Or(-1) != int64(n) {
				t.Errorf("%d workers used after a resize to %d, want %d", got, n, want)
			}
		}
		resize(6, 6) // at once
		resize(3, 6) // as tasks end
		time.Sleep(time.Second)
		if n := used(); n != 3 {
			t.Errorf("%d workers used, want 3", n)
		}
		if err := p.Resize(0); err == nil {
			t.Error("a resize to 0 is accepted")
		}
		time.Sleep(time.Minute)
		resize(1, 0)
		if n := p.Stats().Usage[instrument.Idle].Or(-1); n > 1 {
			t.Errorf("%d idle workers of 1", n)
		}
	})
}

func TestWorkersCarryTheNameOfThePool(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	running, end := make(chan bool), make(chan bool)
	mustSubmit(t, p, func(context.Context) error {
		running <- true
		<-end
		return nil
	})
	<-running
	var dump bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&dump, 1); err != nil {
		t.Fatal(err)
	}
	close(end)
	if label := `"poolgauge.pool.name":"` + t.Name() + `"`; !strings.Contains(dump.String(), label) {
		t.Errorf("no goroutine has the label %s:\n%s", label, &dump)
	}
}

// If tasks hang after tasks that were too short to be timed one by one, the readings show the hang.
func TestHangAfterShortTasksShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			p := newWorkers(t, 1, pools.WorkersConfig{})
			for range 200 {
				mustSubmit(t, p, nothing)
				synctest.Wait()
			}
			mustSubmit(t, p, sleep(time.Hour))
			mustSubmit(t, p, nothing)
			synctest.Wait()
			before := p.Stats()
			time.Sleep(time.Minute)
			after := p.Stats()
			if age := after.PendingAge.Or(0); age != time.Minute {
				t.Errorf("the task that waits has waited %v, want 1m", age)
			}
			if used := after.UseTime.Or(0) - before.UseTime.Or(0); math.Abs(used-60) > 1e-6 {
				t.Errorf("%v s were used in a minute", used)
			}
			time.Sleep(time.Hour)
			p.Close()
		}
	})
}
