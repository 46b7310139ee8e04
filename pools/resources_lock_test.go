package pools

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel"

	"github.com/poolgauge/poolgauge/instrument"
)

func resPool(t *testing.T, limit int) *Resources[int] {
	t.Helper()
	made := 0
	p, err := NewResources(t.Name(), limit, func(context.Context) (int, error) { made++; return made, nil }, ResourcesConfig[int]{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func resLease(t *testing.T, p *Resources[int]) Lease[int] {
	t.Helper()
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Who releases does not wait for the lock, and who has it gives the resource to the first that waits.
func TestResourcesReleaseDoesNotWaitForTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := resPool(t, 1)
		defer p.Close()
		l := resLease(t, p)
		got := make(chan Lease[int], 1)
		go func() { got <- resLease(t, p) }()
		synctest.Wait()
		p.mu.Lock()
		l.Release()
		if len(got) > 0 {
			t.Fatal("the lock was taken from its owner")
		}
		p.mu.Unlock()
		(<-got).Release()
		if s := p.Stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.OK].Or(0) != 2 {
			t.Errorf("usage %v, completed %v", s.Usage, s.Completed)
		}
	})
}

// What was left while the lock was taken is there for the next who takes it.
func TestResourcesWhatIsLeftIsThereAtOnce(t *testing.T) {
	p := resPool(t, 1)
	defer p.Close()
	l := resLease(t, p)
	p.mu.Lock()
	l.Release()
	p.mu.Mutex.Unlock() // the owner is stopped here
	l, err := p.TryAcquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
}

// The resource given back last is lent first, though the one before was left with an owner of the lock who has not looked yet.
func TestResourcesWhatWasLeftComesFirst(t *testing.T) {
	p := resPool(t, 2)
	defer p.Close()
	first, second := resLease(t, p), resLease(t, p)
	p.mu.Lock()
	first.Release()
	p.mu.Mutex.Unlock()
	second.Release()
	l := resLease(t, p)
	if got := l.Value(); got != 2 {
		t.Errorf("got resource %d, want 2", got)
	}
	l.Release()
}

func resRecover(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestResourcesLeftTwice(t *testing.T) {
	p := resPool(t, 1)
	defer p.Close()
	l := resLease(t, p)
	p.mu.Lock()
	l.Release()
	if resRecover(func() { l.Value() }) == nil {
		t.Error("a lease that is left has a value")
	}
	second := make(chan any)
	go func() { second <- resRecover(l.Release) }() // has to wait for the lock, to be sure
	p.mu.Unlock()
	if text, _ := (<-second).(string); !strings.Contains(text, "has ended") {
		t.Errorf("a second release: panic %q", text)
	}
	if s := p.Stats(); s.Completed[instrument.OK].Or(0) != 1 || s.Usage[instrument.Idle].Or(0) != 1 {
		t.Errorf("completed %v, usage %v", s.Completed, s.Usage)
	}
}

// A goroutine may leave a lease that another one is just ending.
func TestResourcesLeftWhileItEnds(t *testing.T) {
	handled := make(chan error, 1)
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { handled <- err }))
	p := resPool(t, 1)
	defer p.Close()
	l := resLease(t, p)
	p.mu.Lock()
	l.Release()
	l.slot.turn++ // as if somebody had ended it in between
	p.mu.Unlock()
	if err := <-handled; !strings.Contains(err.Error(), t.Name()) {
		t.Errorf("error %v, want one that names the pool", err)
	}
	if s := p.Stats(); s.Completed[instrument.OK].Or(-1) != 0 || s.Usage[instrument.Used].Or(0) != 1 {
		t.Errorf("completed %v, usage %v: it was released", s.Completed, s.Usage)
	}
	l.turn++
	l.Release()
}
