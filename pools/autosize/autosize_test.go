package autosize_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/pools"
	"github.com/poolgauge/poolgauge/pools/autosize"
)

// rig is a semaphore under a steady load, and the log of the Resizer that adjusts it.
type rig struct {
	t        *testing.T
	pool     *pools.Semaphore
	log      bytes.Buffer
	requests sync.WaitGroup // counts running requests
}

func newRig(t *testing.T, size int64, cfg autosize.Config) *rig {
	t.Helper()
	s, err := pools.NewSemaphore(t.Name(), size, pools.SemaphoreConfig{MaxPending: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r := &rig{t: t, pool: s}
	if cfg.Machine == nil { // a bubble's virtual time does not match CPU time
		cfg.Machine = diagnose.UnknownMachine
	}
	cfg.Name, cfg.Logger = "orders", slog.New(slog.NewTextHandler(&r.log, nil))
	resizer, err := autosize.Start(s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resizer.Close)
	t.Cleanup(r.requests.Wait)
	return r
}

// load starts a request once per interval for the given length of time. Each request calls use.
func (r *rig) load(interval, length time.Duration, use func()) {
	begin := time.Now()
	for time.Since(begin) < length {
		time.Sleep(interval)
		r.requests.Go(func() {
			if r.pool.Acquire(context.Background(), 1) == nil {
				use()
				r.pool.Release(1)
			}
		})
	}
}

func sleep(d time.Duration) func() { return func() { time.Sleep(d) } }

// logged returns everything logged so far.
func (r *rig) logged() string {
	synctest.Wait()
	return r.log.String()
}

func (r *rig) wantSize(lo, hi int64) {
	r.t.Helper()
	if n := r.pool.Size(); n < lo || n > hi {
		r.t.Errorf("the pool has %d slots, want %d to %d; log:\n%s", n, lo, hi, r.logged())
	}
}

func (r *rig) wantLog(parts ...string) {
	r.t.Helper()
	for _, part := range parts {
		if !strings.Contains(r.logged(), part) {
			r.t.Errorf("the log lacks %q:\n%s", part, r.logged())
		}
	}
}

func TestAPoolThatIsTooSmallGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, autosize.Config{Min: 1, Max: 50, Apply: true})
		r.load(2*time.Millisecond, 20*time.Second, sleep(20*time.Millisecond)) // ten uses at a time
		r.wantSize(11, 20)
		r.wantLog(`msg="pool resized" pool=orders from=2 to=4`, "requests per second of 20ms")
	})
}

func TestThePoolStaysWithinItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 6, autosize.Config{Min: 5, Max: 7, Apply: true})
		r.load(2*time.Millisecond, 10*time.Second, sleep(20*time.Millisecond))
		r.wantSize(7, 7)
		r.load(100*time.Millisecond, time.Minute, sleep(20*time.Millisecond))
		r.wantSize(5, 5)
	})
}

func TestSlotsThatDoNotHelpAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, autosize.Config{Min: 1, Max: 50, Apply: true})
		lock := make(chan struct{}, 1)
		r.load(4*time.Millisecond, time.Minute, func() {
			lock <- struct{}{}
			time.Sleep(5 * time.Millisecond)
			<-lock
		})
		r.wantSize(4, 8)
		r.wantLog("from=4 to=8", "from=8 to=4", "8 slots served 200 requests per second, and 4 served 200")
		if tries := strings.Count(r.logged(), "from=4 to=8"); tries > 4 {
			t.Errorf("the limit was raised %d times in a minute, want at most 4, because the pauses grow", tries)
		}
	})
}

func TestAPoolThatIsTooLargeShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 40, autosize.Config{Min: 1, Max: 50, Apply: true})
		r.load(10*time.Millisecond, 29*time.Second, sleep(20*time.Millisecond)) // two uses at a time
		r.wantSize(40, 40)
		r.load(10*time.Millisecond, 30*time.Second, sleep(20*time.Millisecond))
		r.wantSize(4, 9)
		r.wantLog("from=40 to=30", "were needed recently")
	})
}

func TestNothingChangesWhileThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := diagnose.UnknownMachine()
		throttled.Throttled = 0.3
		r := newRig(
			t,
			2,
			autosize.Config{Min: 1, Max: 50, Apply: true, Machine: func() diagnose.Machine { return throttled }},
		)
		r.load(2*time.Millisecond, 20*time.Second, sleep(20*time.Millisecond))
		r.wantSize(2, 2)
		if r.logged() != "" {
			t.Errorf("got log %q, want none", r.logged())
		}
	})
}

func TestNothingChangesWhileALargeRequestBlocksOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, autosize.Config{Min: 1, Max: 50, Apply: true})
		if err := r.pool.Acquire(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		r.requests.Go(func() {
			if r.pool.Acquire(context.Background(), 4) == nil {
				r.pool.Release(4)
			}
		})
		r.load(10*time.Millisecond, 20*time.Second, sleep(20*time.Millisecond))
		r.wantSize(4, 4)
		r.pool.Release(2)
	})
}

func TestWithoutApplyChangesAreOnlyLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, autosize.Config{Min: 1, Max: 50})
		r.load(2*time.Millisecond, 20*time.Second, sleep(20*time.Millisecond))
		r.wantSize(2, 2)
		r.wantLog(`msg="pool would be resized" pool=orders from=2 to=4`)
		if n := strings.Count(r.logged(), "\n"); n != 1 {
			t.Errorf("got %d log lines, want 1:\n%s", n, r.logged())
		}
	})
}

func TestAResizeByTheProgramEndsTheTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, autosize.Config{Min: 1, Max: 50, Apply: true})
		lock := make(chan struct{}, 1)
		slow := func() {
			lock <- struct{}{}
			time.Sleep(5 * time.Millisecond)
			<-lock
		}
		r.load(4*time.Millisecond, 2500*time.Millisecond, slow)
		r.wantSize(8, 8)
		if err := r.pool.Resize(3); err != nil {
			t.Fatal(err)
		}
		r.load(4*time.Millisecond, 10*time.Second, slow)
		if strings.Contains(r.logged(), "from=3 to=4 reason=\"8 slots") {
			t.Errorf("the trial continued after the program had resized the pool:\n%s", r.logged())
		}
		r.wantLog("from=3 to=6")
	})
}

func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := pools.NewWorkers("workers", 2, pools.WorkersConfig{MaxPending: 1000})
		if err != nil {
			t.Fatal(err)
		}
		r, err := autosize.Start(p, autosize.Config{Min: 1, Max: 50, Apply: true, Machine: diagnose.UnknownMachine})
		if err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			time.Sleep(2 * time.Millisecond)
			if err := p.Submit(
				t.Context(),
				func(context.Context) error { time.Sleep(20 * time.Millisecond); return nil },
			); err != nil {
				t.Fatal(err)
			}
		}
		if n, _ := p.Stats().Limit.Get(); n < 11 || n > 20 {
			t.Errorf("the pool has %d workers, want 11 to 20", n)
		}
		r.Close()
		if err := p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for want, cfg := range map[string]autosize.Config{
		`autosize "p": Min is 0, expected at least 1`:            {Name: "p", Max: 4},
		`autosize "p": Max is 3, expected at least 4 (Min)`:      {Name: "p", Min: 4, Max: 3},
		`autosize "p": Interval is 1ms, expected at least 100ms`: {Name: "p", Min: 1, Max: 3, Interval: time.Millisecond},
	} {
		if _, err := autosize.Start[int64]((*pools.Semaphore)(nil), cfg); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// BenchmarkLook measures one decision about one pool. Checking a hundred pools once a second should
// cost less than a thousandth of a CPU.
func BenchmarkLook(b *testing.B) {
	s, err := pools.NewSemaphore("look", 4, pools.SemaphoreConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	look := autosize.Look(s)
	for b.Loop() {
		if s.Acquire(b.Context(), 1) == nil {
			s.Release(1)
		}
		look()
	}
}
