package pools_test

import (
	"context"
	"errors"
	"fmt"
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

// resFactory makes resources, numbered from 1, and counts them.
type resFactory struct {
	made, destroyed, alive, peak atomic.Int64
	takes                        time.Duration // time to make one
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

// open returns a pool of f's resources, which is closed at the end of the test.
func (f *resFactory) open(
	t testing.TB,
	limit int,
	cfg pools.ResourcesConfig[int64],
	opts ...instrument.Option,
) *pools.Resources[int64] {
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

// resCount returns the count of an event for a reason.
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
	got := [3]int64{
		s.Usage[instrument.Used].Or(-1),
		s.Usage[instrument.Idle].Or(-1),
		s.Usage[instrument.Constructing].Or(-1),
	}
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

func TestResourcesAreCreatedOnDemandAndLentLastInFirstOut(t *testing.T) {
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

func TestResourcesAreLentInTheOrderOfRequests(t *testing.T) {
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
			synctest.Wait() // until the request is queued
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
		if errs[0] != context.Canceled || errs[1] != context.DeadlineExceeded { //nolint:errorlint // bare
			t.Errorf("errors %v and %v, want those of the contexts", errs[0], errs[1])
		}
		if !errors.Is(errs[2], pools.ErrClosed) || !strings.HasPrefix(errs[2].Error(), `pools: resources "`+t.Name()) {
			t.Errorf("error %q, want ErrClosed with the name of the pool", errs[2])
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

func TestResourcesShortUsesAreSampledWithWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		held := resAcquire(t, p) // a sample must not represent a use that has not ended
		const uses = 1000
		for range uses {
			resAcquire(t, p).Release()
			if s := p.Stats(); s.Use.Count() > uint64(s.Completed[instrument.OK].Or(0)) {
				t.Fatalf("%d durations of %d uses", s.Use.Count(), s.Completed[instrument.OK].Or(0))
			}
		}
		if n := p.Stats().Use.Count(); n < uses-64 {
			t.Errorf("%d durations of %d uses, want all but those since the last sample", n, uses)
		}
		held.Release()
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
			other := resAcquire(t, p) // possibly the same resource
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
		for range 100 { // so that the clock is rarely read
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

func TestResourcesConfigIsChecked(t *testing.T) {
	type config = pools.ResourcesConfig[int64]
	construct := new(resFactory).construct
	for name, open := range map[string]func() (*pools.Resources[int64], error){
		`name is ""`:       func() (*pools.Resources[int64], error) { return pools.NewResources("", 1, construct, config{}) },
		"limit is 0":       func() (*pools.Resources[int64], error) { return pools.NewResources("p", 0, construct, config{}) },
		"construct is nil": func() (*pools.Resources[int64], error) { return pools.NewResources[int64]("p", 1, nil, config{}) },
		"MinIdle is 2": func() (*pools.Resources[int64], error) {
			return pools.NewResources("p", 1, construct, config{MinIdle: 2})
		},
		"MaxIdleTime is -1ns": func() (*pools.Resources[int64], error) {
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
}

func TestResourcesWithoutTelemetryCountButDoNotTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{}, instrument.WithoutTelemetry())
		defer p.Close()
		for range 3 {
			l := resAcquire(t, p)
			go func() { time.Sleep(time.Second); l.Release() }()
		}
		time.Sleep(time.Minute)
		s := p.Stats()
		if n := s.Requests[instrument.Acquired].Or(0); n != 3 {
			t.Errorf("%d acquired, want 3", n)
		}
		if _, timed := s.UseTime.Get(); timed || s.Use != nil || s.Wait[instrument.Acquired] != nil {
			t.Errorf("it is timed: %+v", s)
		}
	})
}
