package probe

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// fake is a probe whose runs call a function.
type fake struct {
	do     func(ctx context.Context) result
	closed atomic.Bool

	mu   sync.Mutex
	runs []time.Time
}

func (f *fake) run(ctx context.Context) result {
	f.mu.Lock()
	f.runs = append(f.runs, time.Now())
	f.mu.Unlock()
	if f.do == nil {
		return result{}
	}
	return f.do(ctx)
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.runs)
}

func (f *fake) close() { f.closed.Store(true) }

func (f *fake) task(name string, interval time.Duration, share float64, log *slog.Logger) *task {
	t := newTask(name, "", interval, log, f)
	t.budget.share = share
	return t
}

// startFakes starts a runner whose threads seem to use no CPU time, so that only result.cost is
// charged.
func startFakes(t *testing.T, throttled func() (uint64, bool), tasks ...*task) (*Runner, recorder) {
	rec := newRecorder(t)
	r := &Runner{
		tasks:     tasks,
		recorders: rec.recorders,
		throttled: throttled,
		threadCPU: func() time.Duration { return 0 },
	}
	r.start()
	return r, rec
}

func mustClose(t *testing.T, r *Runner) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestRunsAreAnIntervalApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newLog()
		slow, quick := &fake{}, &fake{}
		start := time.Now()
		r, rec := startFakes(
			t,
			nil,
			slow.task("slow", 15*time.Second, 1, log),
			quick.task("quick", 5*time.Second, 1, log),
		)
		time.Sleep(10 * time.Minute)
		mustClose(t, r)

		for _, c := range []struct {
			*fake
			interval, jitter time.Duration
		}{{slow, 15 * time.Second, time.Second}, {quick, 5 * time.Second, 500 * time.Millisecond}} {
			if want := int(10 * time.Minute / c.interval); len(c.runs) != want {
				t.Fatalf("%v: %d runs, want %d", c.interval, len(c.runs), want)
			}
			distinct := map[time.Duration]bool{}
			for i, at := range c.runs {
				late := at.Sub(start) - time.Duration(i)*c.interval
				if late < 0 || late >= c.jitter {
					t.Errorf("%v: run %d was %v late, want less than %v", c.interval, i, late, c.jitter)
				}
				distinct[late] = true
			}
			if len(distinct) < len(c.runs)/2 {
				t.Errorf("%v: %d runs had only %d different jitters", c.interval, len(c.runs), len(distinct))
			}
		}
		if got := rec.value(t, catalog.ProbeRuns, "poolgauge.probe.name=slow"); got != 40 {
			t.Errorf("counted %v runs, want 40", got)
		}
	})
}

func TestMissedRunsAreNotMadeUpFor(t *testing.T) {
	since := time.Now()
	for _, c := range []struct{ late, want time.Duration }{
		{0, 10 * time.Second},
		{9 * time.Second, 10 * time.Second},
		{35 * time.Second, 40 * time.Second}, // for example after SIGSTOP
	} {
		ta := (&fake{}).task("x", 10*time.Second, 1, slog.Default())
		ta.begin(since)
		ta.advance(since.Add(c.late))
		if next := ta.next.Sub(since); next < c.want || next >= c.want+time.Second {
			t.Errorf("%v late: next run at %v, want %v and up to 1 s more", c.late, next, c.want)
		}
	}
}

func TestTotalStartsAtTheIntendedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		log, _ := newLog()
		f := &fake{do: func(context.Context) result { time.Sleep(time.Second); return result{} }}
		r := &Runner{
			recorders: rec.recorders, threadCPU: func() time.Duration { return 0 },
			throttled: func() (uint64, bool) { return 0, false },
		}
		ta := f.task("x", time.Minute, 1, log)
		ta.busy.lock()
		r.run(t.Context(), ta, time.Now().Add(-2*time.Second))
		if got := rec.samples(t, catalog.ProbeDuration)[0].sum; got != 3 {
			t.Errorf("total %v s, want 3: 2 of delay and 1 of work", got)
		}
	})
}

func TestProbeThatHasOverspentIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newLog()
		// With 0.1 s of CPU time per run, a share of 0.002 allows one run in 50 s. One is due every
		// 5 s.
		f := &fake{do: func(context.Context) result { return result{cost: 100 * time.Millisecond} }}
		r, rec := startFakes(t, nil, f.task("x", 5*time.Second, 0.002, log))
		time.Sleep(500 * time.Second)
		mustClose(t, r)
		if got := f.count(); got < 9 || got > 10 {
			t.Errorf("%d runs in 500 s, want one in 50 s", got)
		}
		skipped := rec.value(t, catalog.ProbeSkipped, "poolgauge.probe.skip.reason=budget")
		if total := skipped + float64(f.count()); total != 100 {
			t.Errorf("%v runs skipped and %d started, want a total of 100", skipped, f.count())
		}
		if got, want := rec.value(t, catalog.ProbeCost), float64(f.count())*0.1; got < want-1e-9 || got > want+1e-9 {
			t.Errorf("cost %v, want %v", got, want)
		}
	})
}

func TestHungProbeDelaysOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := newLog()
		release := make(chan struct{})
		hung := &fake{do: func(context.Context) result { <-release; return result{} }}
		other := &fake{}
		r, rec := startFakes(
			t,
			nil,
			hung.task("hung", 5*time.Second, 1, log),
			other.task("other", 5*time.Second, 1, log),
		)
		time.Sleep(60 * time.Second)
		if hung.count() != 1 || other.count() != 12 {
			t.Errorf("the hung probe ran %d times, the other %d; want 1 and 12", hung.count(), other.count())
		}
		if got := rec.value(t, catalog.ProbeSkipped, "poolgauge.probe.skip.reason=running"); got != 11 {
			t.Errorf("%v runs skipped as running, want 11", got)
		}
		close(release)
		time.Sleep(30 * time.Second)
		mustClose(t, r)
		if hung.count() != 7 {
			t.Errorf("%d runs in total after the hung one returned, want 7", hung.count())
		}
		if got := lines.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "probe is hung") ||
			!strings.Contains(got, "recovered") {
			t.Errorf("want one line when the probe hangs and one when it has recovered, got\n%s", got)
		}
	})
}

func TestSlowRunsAreNotHungAndHungRunsAreNotARecovery(t *testing.T) {
	for took, want := range map[time.Duration]int{7 * time.Second: 0, 17 * time.Second: 1} {
		synctest.Test(t, func(t *testing.T) {
			log, lines := newLog()
			f := &fake{do: func(context.Context) result { time.Sleep(took); return result{} }}
			r, _ := startFakes(t, nil, f.task("x", 5*time.Second, 1, log))
			time.Sleep(10 * time.Minute)
			_ = r.Close() // in the middle of a run
			<-r.closed
			if got := strings.Count(lines.String(), "\n"); got != want {
				t.Errorf("runs of %v: %d lines, want %d\n%s", took, got, want, lines)
			}
		})
	}
}

func TestStateChangesAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := newLog()
		runs := 0
		f := &fake{do: func(context.Context) result {
			if runs++; runs > 3 && runs <= 9 {
				return result{err: errors.New("no"), kind: "refused"}
			}
			return result{}
		}}
		r, rec := startFakes(t, nil, f.task("x", time.Second, 1, log))
		time.Sleep(20 * time.Second)
		mustClose(t, r)
		got := lines.String()
		if strings.Count(got, "\n") != 2 || !strings.Contains(got, "error.type=refused error=no") ||
			!strings.Contains(got, "recovered") {
			t.Errorf("want one line at the first failure and one at the recovery, got\n%s", got)
		}
		if got := rec.value(t, catalog.ProbeRuns, "error.type=refused"); got != 6 {
			t.Errorf("%v runs failed, want 6", got)
		}
	})
}

func TestProbeIsSkippedOnceAfterThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newLog()
		var periods atomic.Uint64
		periods.Store(1000) // throttled before the start, which is no reason to skip a run
		// each run causes throttling itself, which is no reason to skip the next one
		f := &fake{do: func(context.Context) result { periods.Add(1); return result{} }}
		r, rec := startFakes(
			t,
			func() (uint64, bool) { return periods.Load(), true },
			f.task("x", 10*time.Second, 1, log),
		)
		time.Sleep(35 * time.Second)
		if f.count() != 4 {
			t.Fatalf("%d runs, want 4", f.count())
		}
		periods.Add(3)
		time.Sleep(20 * time.Second)
		mustClose(t, r)
		if got := rec.value(t, catalog.ProbeSkipped, "poolgauge.probe.skip.reason=quota"); got != 1 || f.count() != 5 {
			t.Errorf("%v skipped and %d runs, want 1 and 5", got, f.count())
		}
	})
}

func TestExclusiveProbesNeverOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newLog()
		var running, maxRunning int
		work := func(context.Context) result {
			running++
			maxRunning = max(maxRunning, running)
			time.Sleep(3 * time.Second)
			running--
			return result{}
		}
		a, b := &fake{do: work}, &fake{do: work}
		ta, tb := a.task("a", 10*time.Second, 1, log), b.task("b", 10*time.Second, 1, log)
		ta.exclusive, tb.exclusive = true, true
		r, rec := startFakes(t, nil, ta, tb)
		time.Sleep(100 * time.Second)
		mustClose(t, r)
		if maxRunning != 1 || a.count() != 10 || b.count() != 10 {
			t.Errorf("up to %d concurrent runs, %d and %d in total; want 1, 10, 10", maxRunning, a.count(), b.count())
		}
		for _, s := range rec.samples(t, catalog.ProbeDuration) {
			if s.sum != s.value*3 {
				t.Errorf("total %v s in %v runs: waiting for the other probe must not count", s.sum, s.value)
			}
		}
	})
}

func TestCloseCancelsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := newLog()
		f := &fake{do: func(ctx context.Context) result {
			<-ctx.Done()
			time.Sleep(100 * time.Millisecond)
			return result{err: ctx.Err(), kind: "canceled"}
		}}
		r, rec := startFakes(t, nil, f.task("x", 10*time.Second, 1, log))
		time.Sleep(5 * time.Second)
		before := time.Now()
		mustClose(t, r)
		if took := time.Since(before); took != 100*time.Millisecond || !f.closed.Load() {
			t.Errorf("Close took %v, probe closed %v; want 100ms, true", took, f.closed.Load())
		}
		mustClose(t, r) // a second call does nothing
		if got := rec.samples(t, catalog.ProbeRuns); len(got) != 0 || lines.Len() != 0 {
			t.Errorf("a canceled run recorded %v and logged %q, want nothing", got, lines)
		}
	})
}

func TestCloseAbandonsAHungProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newLog()
		release := make(chan struct{})
		hung, other := &fake{do: func(context.Context) result { <-release; return result{} }}, &fake{}
		r, _ := startFakes(t, nil, hung.task("hung", 5*time.Second, 1, log), other.task("other", 5*time.Second, 1, log))
		time.Sleep(6 * time.Second)
		before := time.Now()
		err := r.Close()
		if took := time.Since(
			before,
		); took != closeWait || err == nil || !strings.Contains(err.Error(), "probe hung") ||
			strings.Contains(err.Error(), "other") {
			t.Errorf("Close took %v and returned %v; want %v and the hung probe named", took, err, closeWait)
		}
		if !other.closed.Load() || hung.closed.Load() {
			t.Error("want the other probe closed, the hung one not yet")
		}
		close(release)
		synctest.Wait()
		if !hung.closed.Load() {
			t.Error("the hung probe was not closed when it returned")
		}
	})
}

// The probes are real but the clock is fake, so the values mean nothing.
func TestStartRunsEveryDefaultProbeWithinASecond(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		log, lines := newLog()
		reader := sdk.NewManualReader()
		r, err := Start(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), log, Config{DiskDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		mustClose(t, r)
		want := 1
		if thread.HasClock {
			want = 3
		}
		if got := (recorder{reader: reader}).samples(t, catalog.ProbeRuns); len(got) != want {
			t.Errorf("%d probes ran within a second, want %d: %v\n%s", len(got), want, got, lines)
		}
		checkAgainstCatalog(t, reader)
	})
}
