package prometheus

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// load is an app's load on three healthy pools. Requests arrive at random times, and each uses a
// worker, a permit and a lease.
type load struct {
	slots int           // of each pool
	every time.Duration // time between requests, on average
	use   time.Duration // time that a request holds a slot, on average
}

// Calm pools are nearly idle, and busy ones are 70% busy. The more slots a busy pool has, the fewer
// of its requests wait.
var (
	calm = load{slots: 8, every: 250 * time.Millisecond, use: 50 * time.Millisecond}
	busy = load{slots: 64, every: 45 * time.Millisecond, use: 2 * time.Second}
)

func (l load) run(ctx context.Context, meters instrument.Option) {
	workers, err := pools.NewWorkers("thumbnails", l.slots, pools.WorkersConfig{Queue: 64}, meters)
	must(err)
	defer workers.Close()
	permits := semaphore("uploads", l.slots, meters)
	defer permits.Close()
	leases, err := pools.NewResources(
		"connections",
		l.slots,
		func(context.Context) (int, error) { return 0, nil },
		pools.ResourcesConfig[int]{},
		meters,
	)
	must(err)
	defer leases.Close()
	requests(ctx, l.every, func(x float64) {
		use := time.Duration(x * float64(l.use))
		must(workers.Submit(context.Background(), func(context.Context) error { time.Sleep(use); return nil }))
		hold(context.Background(), permits, use)
		lease, err := leases.Acquire(context.Background())
		must(err)
		time.Sleep(use)
		lease.Release()
	})
}

func semaphore(name string, slots int, meters instrument.Option) *pools.Semaphore {
	s, err := pools.NewSemaphore(name, int64(slots), pools.SemaphoreConfig{}, meters)
	must(err)
	return s
}

// hold acquires a permit and holds it for the duration use, unless ctx is done first.
func hold(ctx context.Context, s *pools.Semaphore, use time.Duration) {
	if s.Acquire(ctx, 1) == nil {
		time.Sleep(use)
		s.Release(1)
	}
}

// requests calls request at random times until ctx is done, each time in a new goroutine, and waits
// until all calls have returned. The mean time between calls is every. x is exponentially
// distributed with the mean 1.
func requests(ctx context.Context, every time.Duration, request func(x float64)) {
	r := rand.New(rand.NewPCG(1, 2))
	var running sync.WaitGroup
	defer running.Wait()
	for wait(ctx, time.Duration(r.ExpFloat64()*float64(every))) {
		x := r.ExpFloat64()
		running.Go(func() { request(x) })
	}
}

// wait waits for d. It returns false if ctx is done first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
