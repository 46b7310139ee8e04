package autosize

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/instrument"
)

// Pool is a pool that can be resized: a [pools.Workers], with N int, or a [pools.Semaphore], with N
// int64.
//
// [pools.Workers]: https://pkg.go.dev/github.com/poolgauge/poolgauge/pools#Workers
// [pools.Semaphore]: https://pkg.go.dev/github.com/poolgauge/poolgauge/pools#Semaphore
type Pool[N int | int64] interface {
	Stats() instrument.Stats
	Resize(n N) error
}

// Config configures a [Resizer].
type Config struct {
	// Name identifies the pool in the log.
	Name string

	// Min and Max bound the limit: 1 ≤ Min ≤ Max. The Resizer leaves a limit outside these bounds
	// unchanged until it has a recommendation.
	Min, Max int

	// Apply makes the Resizer change the limit. If it is false, the Resizer only logs the changes
	// that it would make.
	Apply bool

	// Interval is how often the Resizer reads the pool's Stats, at least 100 ms. Zero means one
	// second. It should be long enough for several uses to end in each interval.
	Interval time.Duration

	// Machine describes the machine over the time since the last call to Machine. If it is nil, the
	// Resizer measures the process itself: its CPU quota, its CPU time, and how long its threads
	// and goroutines wait for CPUs and locks.
	Machine func() diagnose.Machine

	// Logger logs each change, or each change that the Resizer would make, with the reason. If it
	// is nil, the Resizer uses slog.Default().
	Logger *slog.Logger
}

func (c *Config) check() error {
	switch {
	case c.Min < 1:
		return fmt.Errorf("autosize %q: Min is %d, expected at least 1", c.Name, c.Min)
	case c.Max < c.Min:
		return fmt.Errorf("autosize %q: Max is %d, expected at least %d (Min)", c.Name, c.Max, c.Min)
	case c.Interval != 0 && c.Interval < 100*time.Millisecond:
		return fmt.Errorf("autosize %q: Interval is %v, expected at least 100ms", c.Name, c.Interval)
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Machine == nil {
		c.Machine = process.recent
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// Resizer adjusts the limit of one pool until it is closed. Its methods are safe for concurrent
// use.
type Resizer struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

// Start starts a goroutine that resizes pool. Close the Resizer before the pool.
func Start[N int | int64](pool Pool[N], cfg Config) (*Resizer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Resizer{stop: stop}
	r.done.Go(func() { watch(ctx, pool, cfg) })
	return r, nil
}

// Close stops the Resizer. The pool keeps its limit. Further calls do nothing.
func (r *Resizer) Close() {
	r.stop()
	r.done.Wait()
}

// watch checks pool once per interval, and resizes it if necessary, until ctx is done.
func watch[N int | int64](ctx context.Context, pool Pool[N], cfg Config) {
	ticker := time.NewTicker(cfg.Interval)
	defer ticker.Stop()
	s := sizer{min: cfg.Min, max: cfg.Max}
	logged := 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			stats := pool.Stats()
			f := diagnose.FiguresOf(&stats, now)
			limit, reason := s.next(f, cfg.Machine())
			if limit == int(f.Limit) || !cfg.Apply && limit == logged {
				continue
			}
			logged = limit
			change := []any{"pool", cfg.Name, "from", int(f.Limit), "to", limit, "reason", reason}
			if !cfg.Apply {
				s.trial = trial{} // the limit stays as it is, so there is nothing to try
				cfg.Logger.Info("pool would be resized", change...)
			} else if err := pool.Resize(N(limit)); err != nil {
				cfg.Logger.Warn("failed to resize pool", append(change, "error", err)...)
			} else {
				cfg.Logger.Info("pool resized", change...)
			}
		}
	}
}
