package pools_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

func TestResourcesHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		l := mustAcquire(t, p)
		l.Hijack()
		next := mustAcquire(t, p) // there is room immediately
		if l.Value() != 1 || next.Value() != 2 || l.CreationTime().IsZero() {
			t.Errorf("hijacked resource %d, then got %d; want 1 and 2, and a creation time", l.Value(), next.Value())
		}
		next.Release()
		p.Close()
		if f.destroyed.Load() != 1 || eventCount(p.Stats(), instrument.Ended, "hijacked") != 1 {
			t.Errorf("%d destroyed, want 1, and 1 hijacked", f.destroyed.Load())
		}
	})
}

func TestResourcesTryAcquireConstructsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: time.Second}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		for range 3 {
			if _, err := p.TryAcquire(
				t.Context(),
			); !errors.Is(err, pools.ErrFull) ||
				!strings.Contains(err.Error(), t.Name()) {
				t.Errorf("TryAcquire: error %v, want ErrFull and the pool's name", err)
			}
		}
		wantUsage(t, p.Stats(), 0, 0, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		l, err := p.TryAcquire(t.Context())
		if err != nil || l.Value() != 1 {
			t.Fatalf("TryAcquire after the construction: error %v, want resource 1", err)
		}
		l.Release()
		if s := p.Stats(); s.Requests[instrument.Rejected].Or(0) != 3 || s.Requests[instrument.Acquired].Or(0) != 1 {
			t.Errorf("requests %v, want 3 rejected and 1 acquired", s.Requests)
		}
		p.Close()
		if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("TryAcquire after Close: error %v, want ErrClosed", err)
		}
	})
}

func TestResourcesAcquireAllIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 3, pools.ResourcesConfig[int64]{})
		defer p.Close()
		used := mustAcquire(t, p)
		for range 2 {
			if err := p.CreateResource(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.CreateResource(t.Context()); !errors.Is(err, pools.ErrFull) {
			t.Errorf("CreateResource in a full pool: error %v, want ErrFull", err)
		}
		all := p.AcquireAllIdle()
		if len(all) != 2 || len(p.AcquireAllIdle()) != 0 {
			t.Errorf("AcquireAllIdle returned %d leases, want 2, then none", len(all))
		}
		wantUsage(t, p.Stats(), 3, 0, 0)
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
			leases = append(leases, mustAcquire(t, p))
		}
		leases[0].Release()
		if err := p.Resize(1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantUsage(t, p.Stats(), 3, 0, 0) // the idle resource was destroyed
		waiting := make(chan pools.Lease[int64], 2)
		for range 2 {
			go func() { waiting <- mustAcquire(t, p) }()
		}
		leases[1].Release()
		leases[2].Release()
		synctest.Wait()
		if s := p.Stats(); eventCount(s, instrument.Ended, "shrink") != 3 || s.Pending.Or(0) != 2 {
			t.Errorf("after two releases: %+v, want 3 ended by shrink and 2 pending", s)
		}
		if err := p.Resize(2); err != nil {
			t.Fatal(err)
		}
		(<-waiting).Release()
		leases[3].Release()
		(<-waiting).Release()
		if err := p.Resize(0); err == nil || !strings.Contains(err.Error(), t.Name()) {
			t.Errorf("Resize(0): error %v, want one with the pool's name", err)
		}
	})
}

func TestResourcesReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		defer p.Close()
		idle, used := mustAcquire(t, p), mustAcquire(t, p)
		idle.Release()
		p.Reset()
		synctest.Wait()
		if n := f.destroyed.Load(); n != 1 {
			t.Errorf("%d resources destroyed, want only the idle one", n)
		}
		used.Release()
		synctest.Wait()
		if l := mustAcquire(t, p); l.Value() != 3 {
			t.Errorf("got resource %d, want 3, which was made after the Reset", l.Value())
		} else {
			l.Release()
		}
		if n := eventCount(p.Stats(), instrument.Ended, "reset"); n != 2 {
			t.Errorf("%d resources ended by the Reset, want 2", n)
		}
	})
}

func TestResourcesCloseWaitsForLeasesAndConstructors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{MinIdle: 1})
		l := mustAcquire(t, p)
		start := time.Now()
		go func() {
			time.Sleep(time.Minute)
			l.Release()
		}()
		go p.Close()
		p.Close()
		if took := time.Since(start); took != time.Minute || f.alive.Load() != 0 {
			t.Errorf("Close returned after %v with %d resources alive, want 1 min and none", took, f.alive.Load())
		}
		for name, call := range map[string]func() error{
			"Acquire":        func() error { _, err := p.Acquire(t.Context()); return err },
			"CreateResource": func() error { return p.CreateResource(t.Context()) },
			"Resize":         func() error { return p.Resize(1) },
		} {
			if err := call(); !errors.Is(err, pools.ErrClosed) {
				t.Errorf("%s after Close: error %v, want ErrClosed", name, err)
			}
		}
		f.open(t, 1, pools.ResourcesConfig[int64]{}).Close() // the name is available again
	})
}
