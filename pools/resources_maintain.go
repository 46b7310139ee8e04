package pools

import (
	"runtime"
	"time"

	"github.com/poolgauge/poolgauge/internal/measure"
)

const (
	resRetry    = time.Second // delay after a failed construction for MinIdle
	resMaxSleep = time.Hour   // maximum time between maintenance runs
	// minimum time between two sweeps, per resource, so that sweeps take at most 1% of a CPU
	resSweep = time.Microsecond
)

// resBatch is a batch of discarded slots. Its size bounds the work done while the lock is held.
type resBatch[T any] struct {
	slots [64]*resSlot[T]
	n     int
}

func (b *resBatch[T]) full() bool { return b.n == len(b.slots) }

func (b *resBatch[T]) add(s *resSlot[T]) {
	b.slots[b.n] = s
	b.n++
}

// destroyBatch destroys the resources of the slots in b. Caller must hold p.mu, which destroyBatch
// releases while it runs.
func (p *Resources[T]) destroyBatch(b *resBatch[T]) {
	p.mu.Unlock()
	for _, s := range b.slots[:b.n] {
		go p.destroy(s)
	}
	if b.n > 0 {
		runtime.Gosched() // let destructors keep up
	}
	p.mu.Lock()
}

// maintain closes expired resources and keeps MinIdle resources ready, until the pool is closed.
func (p *Resources[T]) maintain() {
	defer close(p.maintained)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.life.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		timer.Reset(p.maintainOnce())
	}
}

// wakeMaintainer wakes the maintenance goroutine, if there is one.
func (p *Resources[T]) wakeMaintainer() {
	if p.wake == nil {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it is already awake
	}
}

// maintainOnce does the maintenance that is due, and returns how long to wait before the next run.
func (p *Resources[T]) maintainOnce() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := measure.Clock()
	if now >= p.sweepAt {
		p.sweep(now)
	}
	if p.closed {
		return resMaxSleep
	}
	return max(0, min(p.sweepAt, p.refill(now))-now)
}

// sweep closes resources that have expired or been idle for too long, and sets the time of the next
// sweep. The next sweep is early enough for resources that are constructed or released after this
// one: they stay open for at least MaxIdleTime or nine tenths of MaxLifetime. Caller must hold
// p.mu, which sweep releases between batches.
func (p *Resources[T]) sweep(now time.Duration) {
	next := now + resMaxSleep
	if p.cfg.MaxIdleTime > 0 {
		next = min(next, now+p.cfg.MaxIdleTime)
	}
	if p.cfg.MaxLifetime > 0 {
		next = min(next, now+time.Duration((1-resJitter)*float64(p.cfg.MaxLifetime)))
	}
	p.sweepAt = next // ReleaseUnused may set it to an earlier time
	// The loop runs from the last slot to the first, because removing a slot moves the last slot
	// into its place.
	for i := len(p.slots) - 1; i >= 0; i = min(i, len(p.slots)-1) {
		var due resBatch[T]
		for end := i - len(due.slots); i >= 0 && i > end; i-- {
			s := p.slots[i]
			if reason, ok := p.overdue(s, now); ok {
				due.add(p.discard(s, reason))
			} else {
				next = min(next, p.dueAt(s, now))
			}
		}
		p.destroyBatch(&due)
	}
	soonest := now + time.Duration(len(p.slots))*resSweep
	p.sweepAt = max(min(p.sweepAt, next), soonest)
}

// overdue reports whether s is idle and its resource must be closed now, and why. Caller must hold
// p.mu.
func (p *Resources[T]) overdue(s *resSlot[T], now time.Duration) (resReason, bool) {
	switch {
	case s.state != resIdle || s.epoch != p.epoch: // in use, or invalidated
		return 0, false
	case s.expires != 0 && now >= s.expires:
		return resLifetime, true
	case p.cfg.MaxIdleTime > 0 && now-s.lastUsed >= p.cfg.MaxIdleTime && p.idle.length > p.cfg.MinIdle:
		return resIdleTime, true
	}
	return 0, false
}

// dueAt returns the earliest time after now at which the resource of s may have to be closed, but
// at most now + resMaxSleep. Caller must hold p.mu.
func (p *Resources[T]) dueAt(s *resSlot[T], now time.Duration) time.Duration {
	due := now + resMaxSleep
	if s.expires > now {
		due = min(due, s.expires)
	}
	if end := s.lastUsed + p.cfg.MaxIdleTime; p.cfg.MaxIdleTime > 0 && end > now {
		due = min(due, end)
	}
	return due
}

// refill starts constructing the resources that MinIdle requires, and returns the time at which to
// call it again. Caller must hold p.mu.
func (p *Resources[T]) refill(now time.Duration) time.Duration {
	missing := p.cfg.MinIdle - p.idle.length - (p.preparing - p.wanted)
	for n := 0; missing > 0 && p.hasRoom(); n++ {
		switch {
		case now < p.retryAt:
			return p.retryAt
		case n == len(resBatch[T]{}.slots):
			return now
		}
		p.prepareLater(p.life, p.add())
		missing--
	}
	return now + resMaxSleep
}
