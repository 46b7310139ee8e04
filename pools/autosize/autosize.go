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

// Pool is what can be resized: a [pools.Workers], with N int, or a [pools.Semaphore], with N int64.
//
// [pools.Workers]: https://pkg.go.dev/github.com/poolgauge/poolgauge/pools#Workers
// [pools.Semaphore]: https://pkg.go.dev/github.com/poolgauge/poolgauge/pools#Semaphore
type Pool[N int | int64] interface {
	Stats() instrument.Stats
	Resize(n N) error
}

// Config says what a [Resizer] may do.
type Config struct {
	// Name tells the pool from others in the log.
	Name string

	// Min and Max bound the limit: 1 ≤ Min ≤ Max. A pool outside of them is not touched until there
	// is advice.
	Min, Max int

	// Apply makes the Resizer change the limit. Without it, it only logs what it would do.
	Apply bool

	// Interval is the time between two looks at the pool, at least 100 ms; 0 is one second. There
	// should be several uses in each.
	Interval time.Duration

	// Machine says what is known of the machine since its last call; nil is what the process knows
	// of itself: its CPU quota and time, its threads and goroutines, and its locks.
	Machine func() diagnose.Machine

	// Logger gets a line for each change, or each that would be made, with the reason; nil is
	// slog.Default().
	Logger *slog.Logger
}

func (c *Config) check() error {
	switch {
	case c.Min < 1:
		return fmt.Errorf("autosize %q: Min %d: want at least 1", c.Name, c.Min)
	case c.Max < c.Min:
		return fmt.Errorf("autosize %q: Max %d: want at least Min, %d", c.Name, c.Max, c.Min)
	case c.Interval != 0 && c.Interval < 100*time.Millisecond:
		return fmt.Errorf("autosize %q: Interval %v: want at least 100ms", c.Name, c.Interval)
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Machine == nil {
		c.Machine = process.look
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// Resizer resizes one pool until it is closed. Its methods are safe for concurrent use.
type Resizer struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

// Start begins to resize a pool, on a goroutine of its own. Close the Resizer before the pool.
func Start[N int | int64](pool Pool[N], cfg Config) (*Resizer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Resizer{stop: stop}
	r.done.Go(func() { watch(ctx, pool, cfg) })
	return r, nil
}

// Close ends it. The pool keeps its limit. Further calls do nothing.
func (r *Resizer) Close() {
	r.stop()
	r.done.Wait()
}

// watch looks at the pool once in an interval.
func watch[N int | int64](ctx context.Context, pool Pool[N], cfg Config) {
	ticker := time.NewTicker(cfg.Interval)
	defer ticker.Stop()
	s := sizer{min: cfg.Min, max: cfg.Max}
	said := 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			stats := pool.Stats()
			f := diagnose.FiguresOf(&stats, now)
			limit, reason := s.next(f, cfg.Machine())
			if limit == int(f.Limit) || !cfg.Apply && limit == said {
				continue
			}
			said = limit
			change := []any{"pool", cfg.Name, "from", int(f.Limit), "to", limit, "reason", reason}
			if !cfg.Apply {
				s.trial = trial{} // it does not take place
				cfg.Logger.Info("the pool would be resized", change...)
			} else if err := pool.Resize(N(limit)); err != nil {
				cfg.Logger.Warn("the pool could not be resized", append(change, "error", err)...)
			} else {
				cfg.Logger.Info("the pool was resized", change...)
			}
		}
	}
}
