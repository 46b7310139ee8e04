package prometheus

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/pools"
)

// demo runs a shop for the pictures: orders are worked, their images made, their payments sent. In the middle third the payment service gets slow.
func demo(ctx context.Context, lasting time.Duration) {
	began := time.Now()
	slow := func() bool { at := time.Since(began); return at > lasting*2/5 && at < lasting*3/5 }
	s := newShop(slow)
	defer s.close()
	for ctx.Err() == nil {
		pause := time.Duration(rand.ExpFloat64() * float64(12*time.Millisecond)) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
		case <-time.After(min(pause, 100*time.Millisecond)):
			go s.order(ctx)
		}
	}
}

type shop struct {
	orders     *pools.Workers
	thumbnails *pools.Workers
	payments   *pools.Semaphore
	database   *pools.Resources[int]
	slow       func() bool
}

func newShop(slow func() bool) *shop {
	s := &shop{slow: slow}
	var err error
	s.orders, err = pools.NewWorkers("orders", 24, pools.WorkersConfig{Queue: 128})
	must(err)
	s.thumbnails, err = pools.NewWorkers("thumbnails", 4, pools.WorkersConfig{Queue: 64})
	must(err)
	s.payments, err = pools.NewSemaphore("payments", 10)
	must(err)
	s.database, err = pools.NewResources("database", 12, func(context.Context) (int, error) {
		time.Sleep(20 * time.Millisecond)
		return 0, nil
	}, pools.ResourcesConfig[int]{MinIdle: 2, MaxIdleTime: 20 * time.Second, MaxLifetime: time.Minute})
	must(err)
	return s
}

func (s *shop) close() {
	s.orders.Close()
	s.thumbnails.Close()
	s.payments.Close()
	s.database.Close()
}

var errDeclined = errors.New("declined")

func (s *shop) order(ctx context.Context) {
	patience, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = s.orders.Submit(patience, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if lease, err := s.database.Acquire(ctx); err == nil {
			doze(6 * time.Millisecond)
			lease.Release()
		}
		return s.pay(ctx)
	})
	_ = s.thumbnails.Submit(patience, func(context.Context) error {
		for end := time.Now().Add(3 * time.Millisecond); time.Now().Before(end); {
		}
		return nil
	})
}

func (s *shop) pay(ctx context.Context) error {
	if err := s.payments.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.payments.Release(1)
	took := 45 * time.Millisecond
	if s.slow() {
		took *= 3
	}
	doze(took)
	if rand.IntN(200) == 0 { //nolint:gosec // no secret
		return errDeclined
	}
	return nil
}

// doze sleeps for about so long, now and then for much longer.
func doze(d time.Duration) { time.Sleep(time.Duration((0.4 + 0.6*rand.ExpFloat64()) * float64(d))) } //nolint:gosec // no secret
