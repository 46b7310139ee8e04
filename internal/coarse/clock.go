// Package coarse has a clock for pools that are too busy to read the real one.
package coarse

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Clock takes a nanosecond to read and is up to one tick slow. It ticks only while it is being read, so that it is exact where a
// reading costs nothing that counts. Its timer runs only while it ticks.
type Clock struct {
	lock    sync.Locker // of its owner, guards everything below but now
	tick    time.Duration
	now     atomic.Int64 // as instrument.Now has it; 0 while it does not tick
	before  atomic.Int64 // what it was one tick ago; 0 if it did not tick then
	read    bool         // since the last tick
	stopped bool
	timer   *time.Timer
}

// Init makes the clock ready for use. Its owner has the lock.
func (c *Clock) Init(lock sync.Locker, tick time.Duration) {
	c.lock, c.tick = lock, tick
}

// Tick returns how slow the clock may be.
func (c *Clock) Tick() time.Duration { return c.tick }

// Now returns the time, and whether it is exact, since the clock did not tick. Caller must hold the lock.
func (c *Clock) Now() (now time.Duration, exact bool) {
	c.read = true
	if now := c.now.Load(); now != 0 {
		return time.Duration(now), false
	}
	return c.start(), true
}

// Says reports whether a reading is what the clock still says. It needs no lock.
func (c *Clock) Says(reading time.Duration) bool {
	return c.now.Load() == int64(reading)
}

// IsPast reports whether the clock has ticked twice since a reading, so that at least one tick has passed since then, even if ticks
// are late. It needs no lock.
func (c *Clock) IsPast(reading time.Duration) bool {
	now := c.now.Load() // first: a tick in between makes it no less true
	if now == 0 {
		return instrument.Now()-reading > 2*c.tick
	}
	return now != int64(reading) && c.before.Load() != int64(reading)
}

func (c *Clock) start() time.Duration {
	now := instrument.Now()
	switch {
	case c.stopped:
		return now
	case c.timer == nil:
		c.timer = time.AfterFunc(c.tick, c.advance)
	default:
		c.timer.Reset(c.tick)
	}
	c.before.Store(0)
	c.now.Store(int64(now))
	return now
}

// advance is called at every tick.
func (c *Clock) advance() {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.stopped || !c.read {
		c.now.Store(0)
		return
	}
	c.read = false
	c.before.Store(c.now.Load())
	c.now.Store(int64(instrument.Now()))
	c.timer.Reset(c.tick)
}

// Stop ends the ticking, for good. Caller must hold the lock.
func (c *Clock) Stop() {
	c.stopped = true
	c.now.Store(0)
	if c.timer != nil {
		c.timer.Stop()
	}
}
