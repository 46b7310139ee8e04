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

func noop(context.Context) error { return nil }

func TestWorkersSettings(t *testing.T) {
	pooltest.Settings(t, "worker", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		p, err := pools.NewWorkers(name, 1, pools.WorkersConfig{}, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		submitted := int64(0)
		use := func() {
			mustSubmit(t, p, noop)
			submitted++
			for p.Stats().Completed[instrument.OK].Or(0) < submitted {
				runtime.Gosched()
			}
		}
		return pooltest.Pool{Use: use, Close: p.Close}, nil
	})
}

func TestNewWorkersRejectsInvalidConfig(t *testing.T) {
	for name, c := range map[string]struct {
		n   int
		cfg pools.WorkersConfig
	}{
		"no workers":       {0, pools.WorkersConfig{}},
		"negative workers": {-1, pools.WorkersConfig{}},
		"negative bound":   {1, pools.WorkersConfig{MaxPending: -1}},
	} {
		if _, err := pools.NewWorkers(name, c.n, c.cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names the pool", name, err)
		}
	}
	if _, err := pools.NewWorkers("", 1, pools.WorkersConfig{}); err == nil {
		t.Error("NewWorkers accepted an empty name")
	}
	newWorkers(t, 1, pools.WorkersConfig{})
	if _, err := pools.NewWorkers(t.Name(), 1, pools.WorkersConfig{}); !errors.Is(err, instrument.ErrNameInUse) {
		t.Errorf("second pool with the same name: error %v, want ErrNameInUse", err)
	}
}

func TestQueueHolds1024TasksByDefault(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	end := make(chan struct{})
	defer close(end)
	mustSubmit(t, p, func(context.Context) error { <-end; return nil })
	queued := 0
	for p.TrySubmit(noop) == nil {
		queued++
	}
	if queued != 1024 {
		t.Errorf("%d tasks are queued, want 1024", queued)
	}
}

func TestSubmitNilPanics(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{})
	for name, submit := range map[string]func(){
		"Submit":    func() { _ = p.Submit(t.Context(), nil) },
		"TrySubmit": func() { _ = p.TrySubmit(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s(nil) did not panic", name)
				}
			}()
			submit()
		}()
	}
}

// wantDurations checks the count and the sum (in seconds) of a histogram.
func wantDurations(t *testing.T, name string, h *instrument.Histogram, count uint64, sum float64) {
	t.Helper()
	if h == nil || h.Count() != count || math.Abs(h.Sum()-sum) > 1e-9 {
		t.Errorf("%s: %d durations of %v s in total, want %d of %v s", name, h.Count(), h.Sum(), count, sum)
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
		if err := p.Submit(ctx, noop); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Submit with a deadline: error %v, want DeadlineExceeded", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(250*time.Millisecond, cancel)
		if err := p.Submit(ctx, noop); !errors.Is(err, context.Canceled) {
			t.Errorf("Submit that is canceled: error %v, want Canceled", err)
		}
		if age := p.Stats().PendingAge.Or(0); age != 750*time.Millisecond {
			t.Errorf("pending age %v, want 750 ms", age)
		}
		if used := p.Stats().UseTime.Or(0); used != 1.75 {
			t.Errorf("use time %v s with a task in progress, want 1.75", used)
		}
		time.Sleep(time.Minute)
		s := p.Stats()
		wantDurations(t, "acquired", s.Wait[instrument.Acquired], 3, 0+1+4)
		wantDurations(t, "timeout", s.Wait[instrument.TimedOut], 1, 0.5)
		wantDurations(t, "canceled", s.Wait[instrument.Canceled], 1, 0.25)
		wantDurations(t, "uses", s.Use, 3, 2+3+4)
		if used := s.UseTime.Or(0); used != 9 {
			t.Errorf("use time %v s, want 9", used)
		}
		if _, ok := s.PendingAge.Get(); ok {
			t.Error("PendingAge is set, but nothing is pending")
		}
	})
}

func TestLongTasksAreTimedWithoutExactTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 2, pools.WorkersConfig{})
		for range 100 {
			mustSubmit(t, p, sleep(time.Second))
		}
		time.Sleep(time.Hour)
		s := p.Stats()
		wantDurations(t, "uses", s.Use, 100, 100)
		wantDurations(t, "acquired", s.Wait[instrument.Acquired], 100, 2*(49*50/2))
	})
}

func TestWorkersWithoutTelemetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{Queue: 1}, instrument.WithoutTelemetry())
		for range 4 {
			mustSubmit(t, p, sleep(time.Second))
		}
		_, aged := p.Stats().PendingAge.Get()
		time.Sleep(time.Minute)
		s := p.Stats()
		if aged || s.Use != nil || s.Wait[instrument.Acquired] != nil || s.Completed[instrument.OK].Or(0) != 4 {
			t.Errorf("Stats %+v, want 4 completed and no times", s)
		}
	})
}

func TestTaskTimeoutExcludesQueue(t *testing.T) {
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
			t.Errorf("completed %v, want 5 OK and 1 failed", s.Completed)
		}
		wantDurations(t, "uses", s.Use, 6, 5*2+3)
	})
}

func TestIdleWorkersAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 8, pools.WorkersConfig{IdleTimeout: 10 * time.Second})
		idle := func() int64 { return p.Stats().Usage[instrument.Idle].Or(-1) }
		if n := idle(); n != 0 {
			t.Errorf("%d workers before the first task, want 0", n)
		}
		for range 8 {
			mustSubmit(t, p, sleep(time.Second))
		}
		time.Sleep(2 * time.Second)
		if n := idle(); n != 8 {
			t.Errorf("%d idle workers after 8 tasks, want 8", n)
		}
		for range 25 { // the worker that is needed is not released
			mustSubmit(t, p, sleep(time.Second/2))
			time.Sleep(time.Second)
		}
		if n := idle(); n != 1 {
			t.Errorf("%d idle workers while one is needed, want 1", n)
		}
		time.Sleep(21 * time.Second)
		if n := idle(); n != 0 {
			t.Errorf("%d workers after all were idle for 21 s, want 0", n)
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
				t.Errorf("%d workers used after Resize(%d), want %d", got, n, want)
			}
		}
		resize(6, 6) // takes effect immediately
		resize(3, 6) // takes effect as tasks end
		time.Sleep(time.Second)
		if n := used(); n != 3 {
			t.Errorf("%d workers used, want 3", n)
		}
		if err := p.Resize(0); err == nil {
			t.Error("Resize(0) succeeded, want an error")
		}
		time.Sleep(time.Minute)
		resize(1, 0)
		if n := p.Stats().Usage[instrument.Idle].Or(-1); n > 1 {
			t.Errorf("%d idle workers after Resize(1), want at most 1", n)
		}
	})
}

func TestWorkersHavePoolNameLabel(t *testing.T) {
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

// If a task hangs after tasks that were too short to be timed individually, every later reading
// shows the hang.
func TestHangAfterShortTasksIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			p := newWorkers(t, 1, pools.WorkersConfig{})
			for range 200 {
				mustSubmit(t, p, noop)
				synctest.Wait()
			}
			mustSubmit(t, p, sleep(time.Hour))
			mustSubmit(t, p, noop)
			synctest.Wait()
			before := p.Stats()
			time.Sleep(time.Minute)
			after := p.Stats()
			if age := after.PendingAge.Or(0); age != time.Minute {
				t.Errorf("pending age %v, want 1 min", age)
			}
			if used := after.UseTime.Or(0) - before.UseTime.Or(0); math.Abs(used-60) > 1e-6 {
				t.Errorf("use time grew by %v s in a minute, want 60", used)
			}
			time.Sleep(time.Hour)
			p.Close()
		}
	})
}
