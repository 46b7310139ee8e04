package wrap_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
)

func ExampleSemaphore() {
	uploads, err := wrap.NewSemaphore("uploads", 8) // for semaphore.NewWeighted(8)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uploads.Close()

	if err := uploads.Acquire(context.Background(), 3); err != nil {
		fmt.Println(err)
		return
	}
	defer uploads.Release(3)

	s := uploads.Stats()
	fmt.Println(s.Usage[instrument.Used].Or(0), "of", s.Limit.Or(0))
	// Output: 3 of 8
}

func ExampleChannel() {
	ch := make(chan struct{}, 8)
	uploads, err := wrap.NewChannel("uploads", ch)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uploads.Close()

	if uploads.TryAcquire() {
		defer uploads.Release()
	}
	ch <- struct{}{} // code that has not been migrated
	s := uploads.Stats()
	fmt.Println(s.Usage[instrument.Used].Or(0), "of", s.Limit.Or(0))
	// Output: 2 of 8
}

func ExampleGroups() {
	fanOut, err := wrap.NewGroups("fan-out") // once per program
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fanOut.Close()

	g, ctx := fanOut.WithContext(context.Background()) // once per request, for errgroup.WithContext
	g.SetLimit(4)
	for range 10 {
		g.Go(func() error { return ctx.Err() })
	}
	if err := g.Wait(); err != nil {
		fmt.Println(err)
	}
	existing := fanOut.Group(new(errgroup.Group)) // wraps an existing group
	existing.Go(func() error { return nil })
	if err := existing.Wait(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(fanOut.Stats().Requests[instrument.Acquired].Or(0))
	// Output: 11
}

func ExampleTaskPool() {
	workers := &goPool{slots: make(chan struct{}, 4)} // or a pool of ants
	thumbnails, err := wrap.NewTaskPool("thumbnails", "ants", workers)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer thumbnails.Close()

	var done sync.WaitGroup
	done.Add(1)
	if err := thumbnails.Submit(done.Done); err != nil {
		fmt.Println(err)
		return
	}
	done.Wait()
	s := thumbnails.Stats()
	fmt.Println(s.Requests[instrument.Acquired].Or(0), "on", s.Limit.Or(0))
	// Output: 1 on 4
}

func ExampleSyncPool() {
	buffers, err := wrap.NewSyncPool("buffers", &sync.Pool{New: func() any { return new([4096]byte) }})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer buffers.Close()

	for range 3 {
		buffers.Get()
	}
	s := buffers.Stats()
	fmt.Println(s.Requests[instrument.Acquired].Or(0), "of which new:", s.Resources[0].Count)
	// Output: 3 of which new: 3
}

// sessions is an example of a pool that has its own statistics.
type sessions struct{ busy, limit, waits int }

func (s sessions) Statistics() (busy, limit, waits int, waited time.Duration) {
	return s.busy, s.limit, s.waits, time.Duration(s.waits) * time.Millisecond
}

// Any other pool is reported with a function that returns its Stats; unknown values are omitted.
func Example() {
	pool := sessions{busy: 3, limit: 5, waits: 7}
	reg, err := instrument.Observe("sessions", "my sessions", func() (s instrument.Stats) {
		busy, limit, waits, waited := pool.Statistics()
		s.Limit = instrument.Some(int64(limit))
		s.Usage[instrument.Used] = instrument.Some(int64(busy))
		s.Waits, s.WaitTime = instrument.Some(int64(waits)), instrument.Some(waited.Seconds())
		return s
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	reader := instrument.OpenReader() // the Producer of instrument/producer has one
	defer reader.Close()
	for p := range reader.Points() {
		fmt.Println(p.Metric.Name, p.Int, p.Float)
	}
	// Output:
	// poolgauge.pool.limit 5 0
	// poolgauge.pool.usage 3 0
	// poolgauge.pool.waits 7 0
	// poolgauge.pool.wait.time 0 0.007
}
