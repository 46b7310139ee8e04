package wrappuddle_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/puddle/v2"

	"github.com/poolgauge/poolgauge/adapters/wrappuddle"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

const pool = "poolgauge.pool."

func mustOpen(t testing.TB, size int32) *puddle.Pool[int] {
	t.Helper()
	p, err := puddle.NewPool(&puddle.Config[int]{
		Constructor: func(context.Context) (int, error) { return 1, nil },
		Destructor:  func(int) {},
		MaxSize:     size,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestPoolReportsARealPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustOpen(t, 2)
		reg, err := wrappuddle.Pool(t.Name(), p)
		if err != nil {
			t.Fatal(err)
		}
		defer reg.Close()
		first, _ := p.Acquire(t.Context())
		second, _ := p.Acquire(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with both resources in use: got error %v, want %v", err, context.DeadlineExceeded)
		}
		go func() {
			third, err := p.Acquire(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			third.Release()
		}()
		synctest.Wait()
		time.Sleep(time.Second)
		first.Release()
		synctest.Wait()
		pooltest.WantPoints(t, pooltest.Points(t), map[string]float64{
			pool + "limit": 2, pool + "usage used": 1, pool + "usage idle": 1, pool + "usage constructing": 0,
			pool + "requests acquired": 3, pool + "requests canceled": 1,
			pool + "waits": 3, // two of them for a resource to be created
			// puddle reads the real clock, not the bubble's fake clock
			pool + "wait.time": p.Stat().EmptyAcquireWaitTime().Seconds(),
		})
		second.Release()
		reg.Close()
		reg.Close()
		pooltest.WantPoints(t, pooltest.Points(t), nil)
	})
}

func TestPoolInvariantsUnderLoad(t *testing.T) {
	p := mustOpen(t, 3)
	var in pooltest.Invariants
	const goroutines, each = 8, 1000
	st := in.HoldUnder(t, func() instrument.Stats { return wrappuddle.StatsOf(p.Stat()) }, func() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					r, err := p.Acquire(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					runtime.Gosched()
					r.Release()
				}
			})
		}
		wg.Wait()
	})
	if n := st.Requests[instrument.Acquired].Or(0); n != goroutines*each {
		t.Errorf("%d acquired, want %d", n, goroutines*each)
	}
}

func TestPoolRejectsNil(t *testing.T) {
	if _, err := wrappuddle.Pool[int]("nothing", nil); err == nil {
		t.Error("a nil pool was accepted")
	}
}

func ExamplePool() {
	parsers, err := puddle.NewPool(&puddle.Config[*int]{
		Constructor: func(context.Context) (*int, error) { return new(int), nil },
		Destructor:  func(*int) {},
		MaxSize:     4,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer parsers.Close()

	reg, err := wrappuddle.Pool("parsers", parsers)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	parser, err := parsers.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer parser.Release()
	fmt.Println(parsers.Stat().AcquiredResources())
	// Output: 1
}
