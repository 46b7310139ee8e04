package pools_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// resFactory makes resources that are numbered from 1, and keeps account of them.
type resFactory struct {
	made, destroyed, alive, peak atomic.Int64
	takes                        time.Duration // to make one
	fail                         atomic.Bool
}

var errResTest = errors.New("no more of them")

func (f *resFactory) construct(context.Context) (int64, error) {
	time.Sleep(f.takes)
	if f.fail.Load() {
		return 0, errResTest
	}
	alive := f.alive.Add(1)
	for peak := f.peak.Load(); alive > peak && !f.peak.CompareAndSwap(peak, alive); peak = f.peak.Load() {
	}
	return f.made.Add(1), nil
}

func (f *resFactory) destroy(int64) {
	f.destroyed.Add(1)
	f.alive.Add(-1)
}

// open makes a pool of f's resources. The test closes it.
func (f *resFactory) open(t testing.TB, limit int, cfg pools.ResourcesConfig[int64], opts ...instrument.Option) *pools.Resources[int64] {
	t.Helper()
	cfg.Destroy = f.destroy
	p, err := pools.NewResources(t.Name(), limit, f.construct, cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func resAcquire(t testing.TB, p *pools.Resources[int64]) pools.Lease[int64] {
	t.Helper()
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// resCount returns how often resources came to an event for a reason.
func resCount(s instrument.Stats, event instrument.Event, reason string) int64 {
	for _, r := range s.Resources {
		if r.Event == event && r.Reason == reason {
			return r.Count
		}
	}
	return -1
}

func resWantUsage(t testing.TB, s instrument.Stats, used, idle, constructing int64) {
	t.Helper()
	got := [3]int64{s.Usage[instrument.Used].Or(-1), s.Usage[instrument.Idle].Or(-1), s.Usage[instrument.Constructing].Or(-1)}
	if want := [3]int64{used, idle, constructing}; got != want {
		t.Errorf("used, idle, constructing: %v, want %v", got, want)
	}
}

func resWantPanic(t *testing.T, f func(), words ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		got := fmt.Sprint(recover())
		for _, w := range words {
			if !strings.Contains(got, w) {
				t.Errorf("panic %q, want one with %q", got, w)
			}
		}
	}()
	f()
}

func TestResourcesAreMadeWhenWantedAndLentLastInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 3, pools.ResourcesConfig[int64]{})
		defer p.Close()
		if n := f.made.Load(); n != 0 {
			t.Errorf("%d resources before the first is wanted", n)
		}
		first, second := resAcquire(t, p), resAcquire(t, p)
		first.Release()
		second.Release()
		again := resAcquire(t, p)
		if again.Value() != 2 || f.made.Load() != 2 {
			t.Errorf("lent %d of %d, want 2 of 2", again.Value(), f.made.Load())
		}
		again.Release()
	})
}

func TestResourcesAreLentInTheOrderOfAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		held := resAcquire(t, p)
		var order []int
		for i := range 20 {
			go func() {
				l := resAcquire(t, p)
				order = append(order, i)
				time.Sleep(time.Second)
				l.Release()
			}()
			synctest.Wait() // until it is in the line
		}
		held.Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(order) != 20 || !slices.IsSorted(order) {
			t.Errorf("order %v", order)
		}
	})
}

func TestResourcesWaitsAreTimedExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		l := resAcquire(t, p)
		go func() { resAcquire(t, p).Release() }()
		synctest.Wait()
		canceled, cancel := context.WithCancel(t.Context())
		late, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		var errs [3]error
		go func() { _, errs[0] = p.Acquire(canceled) }()
		go func() { _, errs[1] = p.Acquire(late) }()
		time.Sleep(time.Second)
		cancel()
		time.Sleep(2 * time.Second)
		s := p.Stats()
		if age := s.PendingAge.Or(0); age != 3*time.Second || s.Pending.Or(0) != 1 {
			t.Errorf("%d pending for %v, want 1 for 3 s", s.Pending.Or(0), age)
		}
		l.Release()
		synctest.Wait()
		l = resAcquire(t, p)
		go func() { _, errs[2] = p.Acquire(t.Context()) }()
		time.Sleep(4 * time.Second)
		go p.Close()
		synctest.Wait()
		l.Release()
		s = p.Stats()
		for outcome, want := range map[instrument.Outcome]time.Duration{
			instrument.Acquired: 3 * time.Second, instrument.Canceled: time.Second,
			instrument.TimedOut: 2 * time.Second, instrument.WasClosed: 4 * time.Second,
		} {
			if got := s.Wait[outcome].Sum(); got != want.Seconds() {
				t.Errorf("waits that ended %v: %v s, want %v", outcome, got, want)
			}
		}
		for i, want := range []error{context.Canceled, context.DeadlineExceeded, pools.ErrClosed} {
			if !errors.Is(errs[i], want) || !strings.Contains(errs[i].Error(), t.Name()) {
				t.Errorf("error %q, want %q with the name of the pool", errs[i], want)
			}
		}
		if n := s.Wait[instrument.Acquired]; n.Count() != 3 || n.Zeros() != 2 {
			t.Errorf("%d waits, %d of 0; want 3, 2 of 0", n.Count(), n.Zeros())
		}
	})
}

func TestResourcesUseTimeIncludesWhatIsStillLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		first, second := resAcquire(t, p), resAcquire(t, p)
		time.Sleep(3 * time.Second)
		first.Release()
		time.Sleep(time.Second)
		s := p.Stats()
		if got := s.UseTime.Or(0); got != 7 {
			t.Errorf("used for %v slot-seconds, want 3 + 4", got)
		}
		if s.Use.Count() != 1 || s.Use.Sum() != 3 {
			t.Errorf("uses %d that took %v s, want 1 and 3 s", s.Use.Count(), s.Use.Sum())
		}
		second.Release()
	})
}

func TestResourcesMisuseOfALeasePanicsWithTheNameAndCorruptsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		ended := map[string]func(pools.Lease[int64]){
			"Release": pools.Lease[int64].Release, "ReleaseUnused": pools.Lease[int64].ReleaseUnused,
			"Destroy": pools.Lease[int64].Destroy, "Hijack": pools.Lease[int64].Hijack,
		}
		for how, end := range ended {
			l := resAcquire(t, p)
			end(l)
			other := resAcquire(t, p) // perhaps the same resource
			for method, again := range ended {
				resWantPanic(t, func() { again(l) }, t.Name(), method, "has ended")
			}
			if how != "Hijack" {
				resWantPanic(t, func() { l.Value() }, t.Name(), "Value")
			}
			other.Value()
			other.Release()
		}
		resWantPanic(t, pools.Lease[int64]{}.Release, "never acquired")
		resWantPanic(t, func() { pools.Lease[int64]{}.Value() }, "never acquired")
		synctest.Wait()
		if s := p.Stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Requests[instrument.Acquired].Or(0) != 8 {
			t.Errorf("%+v after 8 leases", s)
		}
	})
}

func TestResourcesHijackLeavesTheResourceToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		l := resAcquire(t, p)
		l.Hijack()
		next := resAcquire(t, p) // there is room at once
		if l.Value() != 1 || next.Value() != 2 || l.CreationTime().IsZero() {
			t.Errorf("hijacked %d, next %d", l.Value(), next.Value())
		}
		next.Release()
		p.Close()
		if f.destroyed.Load() != 1 || resCount(p.Stats(), instrument.Ended, "hijacked") != 1 {
			t.Errorf("%d destroyed, want 1", f.destroyed.Load())
		}
	})
}

func TestResourcesIdleDurationIsExactWhereUsesAreLongAndNearItWhereTheyAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := resAcquire(t, p)
		created := l.CreationTime()
		time.Sleep(time.Second)
		if got := l.IdleDuration(); got != time.Second || time.Since(created) != time.Second {
			t.Errorf("idle for %v since it was made, want 1 s", got)
		}
		l.Release()
		for range 100 { // for the clock to be read seldom
			time.Sleep(10 * time.Millisecond)
			resAcquire(t, p).Release()
		}
		time.Sleep(3 * time.Second)
		l = resAcquire(t, p)
		if got := l.IdleDuration() - 3*time.Second; got < 0 || got > 50*time.Millisecond {
			t.Errorf("idle for 3 s and %v, want at most 50 ms more", got)
		}
		l.ReleaseUnused()
		time.Sleep(time.Second)
		l = resAcquire(t, p)
		if got := l.IdleDuration() - 4*time.Second; got < 0 || got > 50*time.Millisecond {
			t.Errorf("after a use that was none: idle for 4 s and %v", got)
		}
		l.Release()
	})
}

func TestResourcesTryAcquireConstructsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: time.Second}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		for range 3 {
			if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrFull) || !strings.Contains(err.Error(), t.Name()) {
				t.Errorf("error %v", err)
			}
		}
		resWantUsage(t, p.Stats(), 0, 0, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		l, err := p.TryAcquire(t.Context())
		if err != nil || l.Value() != 1 {
			t.Fatalf("%v after it was made", err)
		}
		l.Release()
		if s := p.Stats(); s.Requests[instrument.Rejected].Or(0) != 3 || s.Requests[instrument.Acquired].Or(0) != 1 {
			t.Errorf("requests %v", s.Requests)
		}
		p.Close()
		if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestResourcesAcquireAllIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 3, pools.ResourcesConfig[int64]{})
		defer p.Close()
		used := resAcquire(t, p)
		for range 2 {
			if err := p.CreateResource(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.CreateResource(t.Context()); !errors.Is(err, pools.ErrFull) {
			t.Errorf("one too many: %v", err)
		}
		all := p.AcquireAllIdle()
		if len(all) != 2 || len(p.AcquireAllIdle()) != 0 {
			t.Errorf("got %d, want 2", len(all))
		}
		resWantUsage(t, p.Stats(), 3, 0, 0)
		for _, l := range append(all, used) {
			l.Release()
		}
	})
}

func TestResourcesResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 4, pools.ResourcesConfig[int64]{})
		defer p.Close()
		var leases []pools.Lease[int64]
		for range 4 {
			leases = append(leases, resAcquire(t, p))
		}
		leases[0].Release()
		if err := p.Resize(1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		resWantUsage(t, p.Stats(), 3, 0, 0) // the idle one has gone
		waiting := make(chan pools.Lease[int64], 2)
		for range 2 {
			go func() { waiting <- resAcquire(t, p) }()
		}
		leases[1].Release()
		leases[2].Release()
		synctest.Wait()
		if s := p.Stats(); resCount(s, instrument.Ended, "shrink") != 3 || s.Pending.Or(0) != 2 {
			t.Errorf("after two came back: %+v", s)
		}
		if err := p.Resize(2); err != nil {
			t.Fatal(err)
		}
		(<-waiting).Release()
		leases[3].Release()
		(<-waiting).Release()
		if err := p.Resize(0); err == nil || !strings.Contains(err.Error(), t.Name()) {
			t.Errorf("Resize(0): error %v", err)
		}
	})
}

func TestResourcesReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		idle, used := resAcquire(t, p), resAcquire(t, p)
		idle.Release()
		p.Reset()
		synctest.Wait()
		if n := f.destroyed.Load(); n != 1 {
			t.Errorf("%d destroyed, want the idle one", n)
		}
		used.Release()
		synctest.Wait()
		if l := resAcquire(t, p); l.Value() != 3 {
			t.Errorf("lent %d, which was made before the Reset", l.Value())
		} else {
			l.Release()
		}
		if n := resCount(p.Stats(), instrument.Ended, "reset"); n != 2 {
			t.Errorf("%d reset, want 2", n)
		}
	})
}

func TestResourcesCloseWaitsForLeasesAndConstructors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{MinIdle: 1})
		l := resAcquire(t, p)
		start := time.Now()
		go func() {
			time.Sleep(time.Minute)
			l.Release()
		}()
		go p.Close()
		p.Close()
		if took := time.Since(start); took != time.Minute || f.alive.Load() != 0 {
			t.Errorf("closed after %v with %d resources alive, want 1 min and none", took, f.alive.Load())
		}
		for name, call := range map[string]func() error{
			"Acquire":        func() error { _, err := p.Acquire(t.Context()); return err },
			"CreateResource": func() error { return p.CreateResource(t.Context()) },
			"Resize":         func() error { return p.Resize(1) },
		} {
			if err := call(); !errors.Is(err, pools.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		f.open(t, 1, pools.ResourcesConfig[int64]{}).Close() // the name is free
	})
}

func TestResourcesConfigIsChecked(t *testing.T) {
	type config = pools.ResourcesConfig[int64]
	construct := new(resFactory).construct
	for name, open := range map[string]func() (*pools.Resources[int64], error){
		`name ""`:        func() (*pools.Resources[int64], error) { return pools.NewResources("", 1, construct, config{}) },
		"limit 0":        func() (*pools.Resources[int64], error) { return pools.NewResources("p", 0, construct, config{}) },
		"no constructor": func() (*pools.Resources[int64], error) { return pools.NewResources[int64]("p", 1, nil, config{}) },
		"MinIdle 2": func() (*pools.Resources[int64], error) {
			return pools.NewResources("p", 1, construct, config{MinIdle: 2})
		},
		"MaxIdleTime -1ns": func() (*pools.Resources[int64], error) {
			return pools.NewResources("p", 1, construct, config{MaxIdleTime: -1})
		},
	} {
		if _, err := open(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestResourcesInTheThreeSettings(t *testing.T) {
	defer goleak.VerifyNone(t)
	pooltest.Settings(t, "resource", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		var f resFactory
		p, err := pools.NewResources(name, 2, f.construct, pools.ResourcesConfig[int64]{}, opts...)
		return pooltest.Pool{Use: func() { resAcquire(t, p).Release() }, Close: p.Close}, err
	})
}

func TestResourcesUseDoesNotAllocate(t *testing.T) {
	var f resFactory
	p := f.open(t, 1, pools.ResourcesConfig[int64]{})
	defer p.Close()
	resAcquire(t, p).Release()
	if n := testing.AllocsPerRun(1000, func() { resAcquire(t, p).Release() }); n != 0 {
		t.Errorf("%v allocations for each use", n)
	}
	runtime.KeepAlive(p)
}
