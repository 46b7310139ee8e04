package autosize

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
	"github.com/poolgauge/poolgauge/pools/autosize"
)

// limiter limits the number of concurrent requests. enter waits for a slot and returns a function
// that frees it, or nil if ctx is done first.
type limiter struct {
	enter func(ctx context.Context) (leave func())
	close func()
	moves func() (all, throttled int64) // returns the number of limit changes; nil if the limit is fixed
}

const (
	minLimit, maxLimit, initialLimit = 1, 128, 4 // of the adaptive contenders
)

// queueConfig limits how many requests wait for a fixed or resized semaphore, so that in overload,
// excess requests are rejected instead of delaying all others. failsafe-go instead limits its queue
// to multiples of its current limit.
var queueConfig = pools.SemaphoreConfig{MaxPending: 32}

// fixed returns a constructor for limiters with n slots.
func fixed(n int64) func(*model) limiter {
	return func(*model) limiter {
		s, err := pools.NewSemaphore("fixed", n, queueConfig, instrument.WithoutTelemetry())
		if err != nil {
			panic(err)
		}
		return limiter{enter: entry(s), close: s.Close}
	}
}

func entry(s *pools.Semaphore) func(ctx context.Context) func() {
	leave := func() { s.Release(1) }
	return func(ctx context.Context) func() {
		if s.Acquire(ctx, 1) != nil {
			return nil
		}
		return leave
	}
}

// resized returns a constructor for limiters whose semaphore is resized by package autosize.
func resized(logger *slog.Logger) func(m *model) limiter {
	return func(m *model) limiter {
		s, err := pools.NewSemaphore("resized", initialLimit, queueConfig)
		if err != nil {
			panic(err)
		}
		var inThrottling atomic.Bool
		counted := &counter{Semaphore: s, inThrottling: &inThrottling}
		r, err := autosize.Start(counted, autosize.Config{
			Name: m.load.name, Min: minLimit, Max: maxLimit, Apply: true, Logger: logger,
			Machine: func() diagnose.Machine {
				d := m.machine()
				inThrottling.Store(d.Throttled > 0.1)
				return d
			},
		})
		if err != nil {
			panic(err)
		}
		return limiter{
			enter: entry(s),
			close: func() { r.Close(); s.Close() },
			moves: func() (int64, int64) { return counted.all.Load(), counted.throttled.Load() },
		}
	}
}

// counter counts how often a semaphore is resized.
type counter struct {
	*pools.Semaphore
	inThrottling   *atomic.Bool // whether a quota throttles the program
	all, throttled atomic.Int64
}

// Resize implements autosize.Pool.
func (c *counter) Resize(n int64) error {
	c.all.Add(1)
	if c.inThrottling.Load() {
		c.throttled.Add(1)
	}
	return c.Semaphore.Resize(n)
}

// adaptive returns a constructor for failsafe-go's adaptive limiter. If queue is true, requests
// wait for slots, as failsafe-go's documentation recommends for bursty load.
func adaptive(queue bool) func(*model) limiter {
	return func(*model) limiter {
		b := adaptivelimiter.NewBuilder[any]().WithLimits(minLimit, maxLimit, initialLimit)
		if queue {
			b = b.WithQueueing(2, 3)
		}
		var moves atomic.Int64
		l := b.OnLimitChanged(func(adaptivelimiter.LimitChangedEvent) { moves.Add(1) }).Build()
		return limiter{
			enter: func(ctx context.Context) func() {
				var permit adaptivelimiter.Permit
				var err error
				if permit, err = l.AcquirePermitWithMaxWait(ctx, time.Minute); err != nil {
					return nil
				}
				return permit.Record
			},
			close: func() {},
			moves: func() (int64, int64) { return moves.Load(), 0 },
		}
	}
}
