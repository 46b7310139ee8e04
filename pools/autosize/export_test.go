package autosize

import (
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/pools"
)

// Look returns a function that reads pool's Stats and decides on its limit, as if a second had
// passed since the last call.
func Look(pool *pools.Semaphore) func() {
	s := sizer{min: 1, max: 10}
	now := time.Now()
	return func() {
		now = now.Add(time.Second)
		stats := pool.Stats()
		s.next(diagnose.FiguresOf(&stats, now), process.recent())
	}
}
