package wrappond_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/alitto/pond/v2"

	"github.com/poolgauge/poolgauge/adapters/wrappond"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

const pool = "poolgauge.pool."

func TestPoolReportsARealPool(t *testing.T) {
	p := pond.NewPool(1, pond.WithQueueSize(2), pond.WithNonBlocking(true))
	reg, err := wrappond.Pool(t.Name(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	running, finish := make(chan struct{}), make(chan struct{})
	_ = p.Go(func() { close(running); <-finish })
	<-running
	_ = p.SubmitErr(func() error { return errors.New("a task") })
	_ = p.Submit(func() {})
	if err := p.Go(func() {}); !errors.Is(err, pond.ErrQueueFull) {
		t.Fatalf("with a full queue: got error %v, want %v", err, pond.ErrQueueFull)
	}
	want := map[string]float64{
		pool + "limit":             1,
		pool + "usage used":        1,
		pool + "pending":           2,
		pool + "pending.limit":     2,
		pool + "requests rejected": 1,
		pool + "requests canceled": 0,
		pool + "completed ok":      0,
		pool + "completed error":   0,
	}
	pooltest.WantPoints(t, pooltest.Points(t), want)
	close(finish)
	p.StopAndWait()
	want[pool+"usage used"], want[pool+"pending"] = 0, 0
	want[pool+"completed ok"], want[pool+"completed error"] = 2, 1
	pooltest.WantPoints(t, pooltest.Points(t), want)
	reg.Close()
	reg.Close()
	pooltest.WantPoints(t, pooltest.Points(t), nil)
}

func TestUnboundedPoolHasNoLimits(t *testing.T) {
	p := pond.NewPool(0)
	defer p.StopAndWait()
	s := wrappond.StatsOf(p)
	if n, ok := s.Limit.Get(); ok {
		t.Errorf("the limit is %d, want none", n)
	}
	if n, ok := s.PendingLimit.Get(); ok {
		t.Errorf("the limit of pending tasks is %d, want none", n)
	}
}

func TestPoolInvariantsUnderLoad(t *testing.T) {
	p := pond.NewPool(3, pond.WithQueueSize(10))
	var in pooltest.Invariants
	const goroutines, each = 8, 1000
	st := in.HoldUnder(t, func() instrument.Stats { return wrappond.StatsOf(p) }, func() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					if err := p.Go(func() {}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		p.StopAndWait()
	})
	if n := st.Completed[instrument.OK].Or(0); n != goroutines*each {
		t.Errorf("%d completed, want %d", n, goroutines*each)
	}
}

func TestPoolRejectsNil(t *testing.T) {
	if _, err := wrappond.Pool("nothing", nil); err == nil {
		t.Error("a nil pool was accepted")
	}
}

func ExamplePool() {
	thumbnails := pond.NewPool(8, pond.WithQueueSize(256))
	defer thumbnails.StopAndWait()

	reg, err := wrappond.Pool("thumbnails", thumbnails)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	if err := thumbnails.Submit(func() { fmt.Println("shrunk") }).Wait(); err != nil {
		fmt.Println(err)
	}
	// Output: shrunk
}
