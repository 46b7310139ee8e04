package pools_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

func TestConstructorContextHasCallersValuesAndEndsWhenPoolIsClosed(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		ended := make(chan error, 1)
		p, err := pools.NewResources(t.Name(), 1, func(ctx context.Context) (int, error) {
			if ctx.Value(key{}) != "value" {
				t.Error("the constructor's context does not have the caller's values")
			}
			<-ctx.Done()
			ended <- ctx.Err()
			return 0, ctx.Err()
		}, pools.ResourcesConfig[int]{})
		if err != nil {
			t.Fatal(err)
		}
		gaveUp := make(chan error, 1)
		go func() {
			_, err := p.Acquire(ctx)
			gaveUp <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("Acquire: error %v, want Canceled", err)
		}
		synctest.Wait()
		select {
		case err := <-ended:
			t.Errorf("the constructor's context was canceled with the caller's: %v", err)
		default:
		}
		p.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the constructor's context ended with %v, want Canceled", err)
		}
	})
}

func TestCreateResourceAndTryAcquireCancelConstructor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := pools.NewResources(t.Name(), 1, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, pools.ResourcesConfig[int]{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.TryAcquire(ctx); !errors.Is(err, pools.ErrFull) {
			t.Errorf("TryAcquire: error %v, want ErrFull", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.CreateResource(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("CreateResource: error %v, want DeadlineExceeded", err)
		}
		if n := eventCount(p.Stats(), instrument.CreateFailed, "timeout"); n != 2 {
			t.Errorf("%d constructions timed out, want 2", n)
		}
	})
}

func TestCreateResourceFailsIfPoolIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resFactory{takes: time.Minute}
		p := f.open(t, 1, pools.ResourcesConfig[int64]{})
		go func() {
			time.Sleep(time.Second)
			p.Close()
		}()
		if err := p.CreateResource(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("CreateResource: error %v, want ErrClosed", err)
		}
		p.Close()
		if f.made.Load() != 1 || f.alive.Load() != 0 {
			t.Errorf("%d resources made and %d alive, want 1 and 0", f.made.Load(), f.alive.Load())
		}
	})
}

func TestAcquireFailsIfPoolIsClosedDuringConstruction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := pools.NewResources(t.Name(), 1, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, pools.ResourcesConfig[int]{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			p.Close()
		}()
		if _, err := p.Acquire(t.Context()); !errors.Is(err, pools.ErrClosed) {
			t.Errorf("Acquire: error %v, want ErrClosed", err)
		}
		if s := p.Stats(); s.Requests[instrument.WasClosed].Or(0) != 1 || s.Requests[instrument.Acquired].Or(0) != 0 {
			t.Errorf("requests %v, want 1 closed and 0 acquired", s.Requests)
		}
	})
}

func TestDestructorPanicsOrExits(t *testing.T) {
	var reported []error
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reported = append(reported, err) }))
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p, err := pools.NewResources(t.Name(), 1, func(context.Context) (int, error) { n++; return n, nil },
			pools.ResourcesConfig[int]{Destroy: func(n int) {
				if n == 1 {
					panic("destructor")
				}
				runtime.Goexit()
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for i := range 3 {
			l, err := p.Acquire(t.Context())
			if err != nil || l.Value() != i+1 {
				t.Fatalf("use %d: %v", i, err)
			}
			l.Destroy()
		}
	})
	if len(reported) != 1 || !strings.Contains(reported[0].Error(), "destructor") ||
		!strings.Contains(reported[0].Error(), t.Name()) {
		t.Errorf("reported %v, want one error with the panic and the pool's name", reported)
	}
}

// While a destructor runs, its resource still exists and counts against the limit.
func TestDestructionCountsAgainstTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := pools.NewResources(t.Name(), 1, func(context.Context) (int, error) { return 0, nil },
			pools.ResourcesConfig[int]{Destroy: func(int) { time.Sleep(time.Second) }})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		l, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Destroy()
		start := time.Now()
		if l, err = p.Acquire(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("Acquire returned after %v with error %v, want 1 s and none", time.Since(start), err)
		}
		if wait := p.Stats().Wait[instrument.Acquired]; wait.Sum() != 1 {
			t.Errorf("waited for %v s, want 1", wait.Sum())
		}
		l.Release()
	})
}
