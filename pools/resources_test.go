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

// resFactory constructs resources, numbered from 1, and counts them.
type resFactory struct {
	made, destroyed, alive, peak atomic.Int64  // peak is the maximum of alive
	takes                        time.Duration // how long a construction takes
	fail                         atomic.Bool
}

var errInjected = errors.New("injected error")

func (f *resFactory) construct(context.Context) (int64, error) {
	time.Sleep(f.takes)
	if f.fail.Load() {
		return 0, errInjected
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

// open returns a pool of f's resources. The caller must close it.
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

func mustAcquire(t testing.TB, p *pools.Resources[int64]) pools.Lease[int64] {
	t.Helper()
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// eventCount returns the count of a lifecycle event with the given reason, or -1 if it is not
// reported.
func eventCount(s instrument.Stats, event instrument.Event, reason string) int64 {
	for _, r := range s.Resources {
		if r.Event == event && r.Reason == reason {
			return r.Count
		}
	}
	return -1
}

func wantUsage(t testing.TB, s instrument.Stats, used, idle, constructing int64) {
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

func wantPanic(t *testing.T, f func(), substrings ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		got := fmt.Sprint(recover())
		for _, w := range substrings {
			if !strings.Contains(got, w) {
				t.Errorf("panic %q, want one that contains %q", got, w)
			}
		}
	}()
	f()
}

func TestResourcesAreCreatedOnDemandAndLentLIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 3, pools.ResourcesConfig[int64]{})
		defer p.Close()
		if n := f.made.Load(); n != 0 {
			t.Errorf("%d resources before the first request, want 0", n)
		}
		first, second := mustAcquire(t, p), mustAcquire(t, p)
		first.Release()
		second.Release()
		again := mustAcquire(t, p)
		if again.Value() != 2 || f.made.Load() != 2 {
			t.Errorf("got resource %d of %d, want 2 of 2", again.Value(), f.made.Load())
		}
		again.Release()
	})
}

func TestResourcesServeRequestsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		held := mustAcquire(t, p)
		var order []int
		for i := range 20 {
			go func() {
				l := mustAcquire(t, p)
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
			t.Errorf("requests were served in the order %v, want 0 to 19", order)
		}
	})
}

func TestResourcesWaitsAreTimedExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		l := mustAcquire(t, p)
		go func() { mustAcquire(t, p).Release() }()
		synctest.Wait()
		canceled, cancel := context.WithCancel(t.Context())
		timedOut, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		var errs [3]error
		go func() { _, errs[0] = p.Acquire(canceled) }()
		go func() { _, errs[1] = p.Acquire(timedOut) }()
		time.Sleep(time.Second)
		cancel()
		time.Sleep(2 * time.Second)
		s := p.Stats()
		if age := s.PendingAge.Or(0); age != 3*time.Second || s.Pending.Or(0) != 1 {
			t.Errorf("%d pending for %v, want 1 for 3 s", s.Pending.Or(0), age)
		}
		l.Release()
		synctest.Wait()
		l = mustAcquire(t, p)
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
				t.Errorf("waits with outcome %v: %v s in total, want %v", outcome, got, want)
			}
		}
		first, second := errs[0], errs[1]
		if first != context.Canceled || second != context.DeadlineExceeded { //nolint:errorlint // not wrapped
			t.Errorf("errors %v and %v, want Canceled and DeadlineExceeded", errs[0], errs[1])
		}
		if !errors.Is(errs[2], pools.ErrClosed) || !strings.HasPrefix(errs[2].Error(), `pools: resources "`+t.Name()) {
			t.Errorf("error %v, want ErrClosed with the pool's name", errs[2])
		}
		if n := s.Wait[instrument.Acquired]; n.Count() != 3 || n.Zeros() != 2 {
			t.Errorf("%d waits, %d of them 0; want 3 and 2", n.Count(), n.Zeros())
		}
	})
}

func TestResourcesUseTimeIncludesUsesInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		first, second := mustAcquire(t, p), mustAcquire(t, p)
		time.Sleep(3 * time.Second)
		first.Release()
		time.Sleep(time.Second)
		s := p.Stats()
		if got := s.UseTime.Or(0); got != 7 {
			t.Errorf("use time %v slot-seconds, want 3 + 4", got)
		}
		if s.Use.Count() != 1 || s.Use.Sum() != 3 {
			t.Errorf("%d uses of %v s in total, want 1 of 3 s", s.Use.Count(), s.Use.Sum())
		}
		second.Release()
	})
}

func TestResourcesShortUsesAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		held := mustAcquire(t, p) // samples must not count this use, which has not ended
		const uses = 1000
		for range uses {
			mustAcquire(t, p).Release()
			if s := p.Stats(); s.Use.Count() > uint64(s.Completed[instrument.OK].Or(0)) {
				t.Fatalf("%d durations, but only %d completed uses", s.Use.Count(), s.Completed[instrument.OK].Or(0))
			}
		}
		if n := p.Stats().Use.Count(); n < uses-64 {
			t.Errorf("%d durations for %d uses, want all but those since the last sample, at most 64", n, uses)
		}
		held.Release()
	})
}

func TestLeaseMisusePanicsAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		ended := map[string]func(pools.Lease[int64]){
			"Release": pools.Lease[int64].Release, "ReleaseUnused": pools.Lease[int64].ReleaseUnused,
			"Destroy": pools.Lease[int64].Destroy, "Hijack": pools.Lease[int64].Hijack,
		}
		for how, end := range ended {
			l := mustAcquire(t, p)
			end(l)
			other := mustAcquire(t, p) // may be the same resource
			for method, again := range ended {
				wantPanic(t, func() { again(l) }, t.Name(), method, "has ended")
			}
			if how != "Hijack" {
				wantPanic(t, func() { l.Value() }, t.Name(), "Value")
			}
			other.Value()
			other.Release()
		}
		wantPanic(t, pools.Lease[int64]{}.Release, "never acquired")
		wantPanic(t, func() { pools.Lease[int64]{}.Value() }, "never acquired")
		synctest.Wait()
		if s := p.Stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Requests[instrument.Acquired].Or(0) != 8 {
			t.Errorf("after 8 leases: %+v, want 0 used and 8 acquired", s)
		}
	})
}

func TestLeaseIdleDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		defer p.Close()
		l := mustAcquire(t, p)
		created := l.CreationTime()
		time.Sleep(time.Second)
		if got := l.IdleDuration(); got != time.Second || time.Since(created) != time.Second {
			t.Errorf("idle for %v since the construction, want 1 s", got)
		}
		l.Release()
		for range 100 { // so that the clock is rarely read
			time.Sleep(10 * time.Millisecond)
			mustAcquire(t, p).Release()
		}
		time.Sleep(3 * time.Second)
		l = mustAcquire(t, p)
		if got := l.IdleDuration() - 3*time.Second; got < 0 || got > 50*time.Millisecond {
			t.Errorf("idle for %v, want 3 s to 3.05 s", got+3*time.Second)
		}
		l.ReleaseUnused()
		time.Sleep(time.Second)
		l = mustAcquire(t, p)
		if got := l.IdleDuration() - 4*time.Second; got < 0 || got > 50*time.Millisecond {
			t.Errorf("after ReleaseUnused: idle for %v, want 4 s to 4.05 s", got+4*time.Second)
		}
		l.Release()
	})
}

func TestNewResourcesRejectsInvalidConfig(t *testing.T) {
	type config = pools.ResourcesConfig[int64]
	construct := new(resFactory).construct
	for want, open := range map[string]func() (*pools.Resources[int64], error){
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
		if _, err := open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that contains %q", err, want)
		}
	}
}

func TestResourcesTelemetrySettings(t *testing.T) {
	defer goleak.VerifyNone(t)
	pooltest.Settings(t, "resource", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		var f resFactory
		p, err := pools.NewResources(name, 2, f.construct, pools.ResourcesConfig[int64]{}, opts...)
		return pooltest.Pool{Use: func() { mustAcquire(t, p).Release() }, Close: p.Close}, err
	})
}

func TestResourcesUseDoesNotAllocate(t *testing.T) {
	var f resFactory
	p := f.open(t, 1, pools.ResourcesConfig[int64]{})
	defer p.Close()
	mustAcquire(t, p).Release()
	if n := testing.AllocsPerRun(1000, func() { mustAcquire(t, p).Release() }); n != 0 {
		t.Errorf("%v allocations per use, want 0", n)
	}
}

func TestResourcesWithoutTelemetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{}, instrument.WithoutTelemetry())
		defer p.Close()
		for range 3 {
			l := mustAcquire(t, p)
			go func() { time.Sleep(time.Second); l.Release() }()
		}
		time.Sleep(time.Minute)
		s := p.Stats()
		if n := s.Requests[instrument.Acquired].Or(0); n != 3 {
			t.Errorf("%d acquired, want 3", n)
		}
		if _, timed := s.UseTime.Get(); timed || s.Use != nil || s.Wait[instrument.Acquired] != nil {
			t.Errorf("without telemetry, times are reported: %+v", s)
		}
	})
}
