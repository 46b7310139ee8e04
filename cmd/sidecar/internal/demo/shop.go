package demo

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/pools"
)

// The durations of healthy requests, and the behavior of callers.
const (
	thumbnail  = 5 * time.Millisecond
	payment    = 50 * time.Millisecond
	locked     = 2 * time.Millisecond
	connection = 15 * time.Millisecond
	patience   = 1500 * time.Millisecond // time after which callers give up
	maxOpen    = 200                     // maximum number of requests in flight to each pool
	leakEvery  = 256                     // one use in leakEvery leaks its connection: 16 leaks in 45 seconds
)

// shop is the demo app. The durations of its requests change with the story.
type shop struct {
	thumbnails, receipts  *pools.Workers
	payments, connections *pools.Resources[int]

	payment, locked atomic.Int64
	leaks           atomic.Bool
	queries         atomic.Int64
	lock            sync.Mutex // contended by the tasks of receipts
	requests        sync.WaitGroup

	mu     sync.Mutex // guards leaked
	leaked []pools.Lease[int]
}

func open() (*shop, error) {
	s := &shop{}
	s.payment.Store(int64(payment))
	s.locked.Store(int64(locked))
	var errs [4]error
	s.thumbnails, errs[0] = pools.NewWorkers("thumbnails", 12, pools.WorkersConfig{Queue: 32})
	s.receipts, errs[1] = pools.NewWorkers("receipts", 8, pools.WorkersConfig{Queue: 64})
	connect := func(context.Context) (int, error) { return 0, nil }
	s.payments, errs[2] = pools.NewResources("payments", 6, connect, pools.ResourcesConfig[int]{})
	s.connections, errs[3] = pools.NewResources("connections", 16, connect, pools.ResourcesConfig[int]{})
	return s, errors.Join(errs[:]...)
}

func (s *shop) close() {
	s.requests.Wait()
	s.thumbnails.Close()
	s.receipts.Close()
	s.payments.Close()
	s.connections.Close()
}

// resize sets the number of workers. workers must be at least 1.
func (s *shop) resize(workers int) { _ = s.thumbnails.Resize(workers) }

// serve starts making requests at constant rates, however slow the pools are, until ctx is done.
func (s *shop) serve(ctx context.Context) {
	s.load(ctx, 700, s.makeThumbnail)
	s.load(ctx, 60, s.pay)
	s.load(ctx, 80, s.printReceipt)
	s.load(ctx, 90, s.query)
}

func (s *shop) load(ctx context.Context, perSecond int, request func(context.Context)) {
	s.requests.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		inFlight := make(chan struct{}, maxOpen)
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case inFlight <- struct{}{}:
				s.requests.Go(func() {
					defer func() { <-inFlight }()
					ctx, cancel := context.WithTimeout(ctx, patience)
					defer cancel()
					request(ctx)
				})
			default:
			}
		}
	})
}

// makeThumbnail and the other requests stop waiting for a slot when ctx is done. They ignore
// errors, which the metrics show.

func (s *shop) makeThumbnail(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience/5)
	defer cancel()
	_ = s.thumbnails.Submit(ctx, func(context.Context) error {
		compute(time.Millisecond / 4)
		time.Sleep(thumbnail)
		return nil
	})
}

func (s *shop) pay(ctx context.Context) {
	lease, err := s.payments.Acquire(ctx)
	if err != nil {
		return
	}
	defer lease.Release()
	// a payment in progress is completed even if ctx is done
	time.Sleep(time.Duration(s.payment.Load()))
}

func (s *shop) printReceipt(ctx context.Context) {
	_ = s.receipts.Submit(ctx, func(context.Context) error {
		s.lock.Lock()
		time.Sleep(time.Duration(s.locked.Load()))
		s.lock.Unlock()
		compute(time.Millisecond)
		return nil
	})
}

func (s *shop) query(ctx context.Context) {
	lease, err := s.connections.Acquire(ctx)
	if err != nil {
		return
	}
	pause(ctx, connection)
	if s.queries.Add(1)%leakEvery == 0 && s.leaks.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leaked = append(s.leaked, lease)
		return
	}
	lease.Release()
}

// stopLeaking stops the leak and releases all leaked leases.
func (s *shop) stopLeaking() {
	s.leaks.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.leaked {
		s.leaked[i].Release()
	}
	s.leaked = nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// compute keeps a CPU busy for the duration d.
func compute(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
		continue
	}
}
