package wrapants_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/panjf2000/ants/v2"

	"github.com/poolgauge/poolgauge/adapters/wrapants"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

const pool = "poolgauge.pool."

func mustOpen(t *testing.T, size int, opts ...ants.Option) (*ants.Pool, *wrap.TaskPool) {
	t.Helper()
	p, err := ants.NewPool(size, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.ReleaseContext(t.Context()) })
	s, err := wrapants.Pool(t.Name(), p, instrument.WithExactTiming())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return p, s
}

// waitFor collects points until the point with the given key has the value want. It returns all
// points of that collection.
func waitFor(t *testing.T, key string, want float64) map[string]float64 {
	t.Helper()
	for {
		if got := pooltest.Points(t); got[key] == want {
			return got
		}
		runtime.Gosched()
	}
}

func TestPoolReportsARealPool(t *testing.T) {
	p, s := mustOpen(t, 2, ants.WithPanicHandler(func(any) {}), ants.WithMaxBlockingTasks(1))
	pooltest.WantPoints(t, pooltest.Points(t), map[string]float64{pool + "limit": 2, pool + "pending": 0})
	running, finish := make(chan struct{}), make(chan struct{})
	for range 2 {
		if err := s.Submit(func() { running <- struct{}{}; <-finish }); err != nil {
			t.Fatal(err)
		}
		<-running
	}
	blocked := make(chan error)
	go func() { blocked <- s.Submit(func() { panic("a task") }) }()
	waitFor(t, pool+"pending", 1)
	if err := s.Submit(func() {}); !errors.Is(err, ants.ErrPoolOverload) {
		t.Fatalf("Submit while another call is blocked: got error %v, want %v", err, ants.ErrPoolOverload)
	}
	want := map[string]float64{
		pool + "limit":                  2,
		pool + "usage used":             2,
		pool + "usage idle":             0,
		pool + "pending":                1,
		pool + "requests acquired":      2,
		pool + "requests rejected":      1,
		pool + "requests closed":        0,
		pool + "wait.duration acquired": 2,
		pool + "use.time":               -1,
		pool + "use.age":                -1,
		pool + "completed ok":           0,
		pool + "completed panic":        0,
	}
	pooltest.WantPoints(t, pooltest.Points(t), want)
	close(finish)
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	got := waitFor(t, pool+"completed panic", 1)
	if got[pool+"requests acquired"] != 3 || got[pool+"wait.duration acquired"] != 3 {
		t.Errorf("after the panic: got %v, want 3 requests acquired and 3 waits", got)
	}
	waitFor(t, pool+"completed ok", 2)
	waitFor(t, pool+"usage idle", 1) // the task that panicked is no longer in progress
	p.Release()
	if err := s.Submit(func() {}); !errors.Is(err, ants.ErrPoolClosed) {
		t.Errorf("Submit after Release: got error %v, want %v", err, ants.ErrPoolClosed)
	}
	if got := pooltest.Points(t); got[pool+"requests closed"] != 1 {
		t.Errorf("after Release: got %v, want 1 request that ended as closed", got)
	}
	s.Close()
	s.Close()
	pooltest.WantPoints(t, pooltest.Points(t), nil)
}

func TestPoolInvariantsUnderLoad(t *testing.T) {
	_, s := mustOpen(t, 3)
	var in pooltest.Invariants
	const goroutines, each = 8, 1000
	st := in.HoldUnder(t, s.Stats, func() {
		var tasks, wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					tasks.Add(1)
					if err := s.Submit(tasks.Done); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		tasks.Wait()
	})
	if n := st.Requests[instrument.Acquired].Or(0); n != goroutines*each {
		t.Errorf("%d acquired, want %d", n, goroutines*each)
	}
}

func ExamplePool() {
	workers, err := ants.NewPool(8)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer workers.Release()

	thumbnails, err := wrapants.Pool("thumbnails", workers)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer thumbnails.Close()

	done := make(chan struct{})
	if err := thumbnails.Submit(func() { close(done) }); err != nil { // instead of workers.Submit
		fmt.Println(err)
		return
	}
	<-done
	fmt.Println(thumbnails.Stats().Requests[instrument.Acquired].Or(0))
	// Output: 1
}
