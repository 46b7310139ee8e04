package pools

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

const (
	resJitter = 0.1                   // of MaxLifetime
	resRetry  = time.Second           // from a failed construction to the next for MinIdle
	resRest   = time.Hour             // of the maintenance if nothing happens
	resTick   = 10 * time.Millisecond // of the clock of a busy pool
)

// tick returns a tick that is short compared with every duration that the clock measures.
func (c *ResourcesConfig[T]) tick() time.Duration {
	tick := resTick
	for _, d := range []time.Duration{c.CheckAfter, c.MaxIdleTime, c.MaxLifetime} {
		if d > 0 {
			tick = min(tick, max(d/16, time.Millisecond))
		}
	}
	return tick
}

// maintain closes resources in time and keeps MinIdle ready until the pool is closed.
func (p *Resources[T]) maintain() {
	defer close(p.tended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.life.Done():
			return
		case <-p.nudge:
		case <-timer.C:
		}
		p.mu.Lock()
		timer.Reset(p.upkeep(instrument.Now()))
		p.mu.Unlock()
	}
}

// tend wakes the maintenance, if there is one.
func (p *Resources[T]) tend() {
	if p.nudge == nil {
		return
	}
	select {
	case p.nudge <- struct{}{}:
	default: // it is awake
	}
}

// upkeep does what is due, and returns the time until the next thing is. What comes later than it can see now, a resource
// that is made or given back, is due after MaxIdleTime or MaxLifetime at the earliest. Caller must hold p.mu.
func (p *Resources[T]) upkeep(now time.Duration) time.Duration {
	if p.closed {
		return resRest
	}
	next := now + resRest
	sooner := func(t time.Duration) { next = min(next, t) }
	if p.cfg.MaxIdleTime > 0 {
		sooner(now + p.cfg.MaxIdleTime)
	}
	if p.cfg.MaxLifetime > 0 {
		sooner(now + time.Duration((1-resJitter)*float64(p.cfg.MaxLifetime)))
	}
	for _, s := range p.idleSlots() {
		if reason, due := p.overdue(s, now); due {
			p.discard(s, reason)
		}
	}
	for _, s := range p.slots {
		if s.expires > now {
			sooner(s.expires)
		}
		if end := s.lastUsed + p.cfg.MaxIdleTime; s.state == resIdle && p.cfg.MaxIdleTime > 0 && end > now {
			sooner(end)
		}
	}
	sooner(p.refill(now))
	return next - now
}

// overdue reports whether the idle slot s must be closed, and why. Caller must hold p.mu.
func (p *Resources[T]) overdue(s *resSlot[T], now time.Duration) (resReason, bool) {
	switch {
	case s.expires != 0 && now >= s.expires:
		return resLifetime, true
	case p.cfg.MaxIdleTime > 0 && now-s.lastUsed >= p.cfg.MaxIdleTime && p.idles > p.cfg.MinIdle:
		return resIdleTime, true
	}
	return 0, false
}

// refill starts the construction of what is missing to MinIdle, and returns when to try again if it must not do so yet. Caller must
// hold p.mu.
func (p *Resources[T]) refill(now time.Duration) time.Duration {
	missing := p.cfg.MinIdle - p.idles
	for _, s := range p.slots {
		if s.state == resConstructing && !s.wanted {
			missing--
		}
	}
	for ; missing > 0 && p.hasRoom(); missing-- {
		if now < p.retryAt {
			return p.retryAt
		}
		p.prepareLater(p.life, p.add())
	}
	return now + resRest
}
