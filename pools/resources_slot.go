package pools

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/waittime"
)

// resState is what a slot is doing.
type resState uint8

const (
	resConstructing resState = iota // or being checked; the goroutine that does it owns value
	resIdle
	resUsed // the lease owns value
	resHijacked
	resClosing // the goroutine that destroys it owns value
)

// resSlot is a place for a resource. It is in Resources.slots until it was destroyed or hijacked.
type resSlot[T any] struct {
	pool  *Resources[T]
	next  *resSlot[T] // the one that is idle and was given back before
	turn  uint64      // which lease of it is the valid one, from 1
	state resState

	wanted bool   // a caller waits for it while it is being constructed
	made   bool   // value is a resource
	fresh  bool   // it was constructed and is not counted yet
	weight uint32 // of the use, 0 if it is not timed
	epoch  int
	index  int // in Resources.slots

	started  time.Duration // use, if it is timed, or construction
	wait     waittime.Wait // of the caller for which it is being constructed, ended
	lastUsed time.Duration
	checked  time.Duration // when it last passed the check
	expires  time.Duration // when its lifetime ends; 0 is never
	created  time.Time
	leftTurn atomic.Uint64 // the lease that is left with who has the lock, 0 if none is
	leftNext *resSlot[T]
	unused   bool // that lease is to end as if the resource had not been lent

	waiter *resWaiter[T] // that of the caller who has it, to be used again when it comes back

	value T
}

// add makes a slot whose resource is to be constructed. There must be room. Caller must hold p.mu.
func (p *Resources[T]) add() *resSlot[T] {
	s := &resSlot[T]{pool: p, turn: 1, epoch: p.epoch, index: len(p.slots)}
	p.slots = append(p.slots, s)
	return s
}

// remove takes s out of the pool and gives its place to whoever waits. Caller must hold p.mu.
func (p *Resources[T]) remove(s *resSlot[T]) {
	last := len(p.slots) - 1
	p.slots[s.index] = p.slots[last]
	p.slots[s.index].index = s.index
	p.slots[last] = nil
	p.slots = p.slots[:last]
	p.settle()
}

// settle does what is possible after a slot or the limit has changed. Caller must hold p.mu.
func (p *Resources[T]) settle() {
	for p.queue.first != nil && p.hasRoom() {
		w := p.queue.pop()
		s := p.add()
		p.waits.End(&w.wait)
		s.wanted, s.waiter, s.wait = true, w, w.wait
		w.ready <- Lease[T]{s, s.turn}
	}
	if p.closed && len(p.slots) == 0 {
		close(p.drained)
	}
	p.tend()
}

func (p *Resources[T]) hasRoom() bool {
	return len(p.slots) < p.limit
}

// surplus returns how many resources must go after the pool shrank. Caller must hold p.mu.
func (p *Resources[T]) surplus() int {
	return len(p.slots) - p.closing - p.limit
}

// pop takes the first idle slot, s, off the idle ones. Caller must hold p.mu.
func (p *Resources[T]) pop(s *resSlot[T]) {
	p.idle = s.next
	s.next = nil
	p.idles--
	if p.idles < p.cfg.MinIdle {
		p.tend()
	}
}

// lend starts a use of s. Caller must hold p.mu.
func (p *Resources[T]) lend(s *resSlot[T]) {
	s.state = resUsed
	p.acquired++
	s.weight, s.started = p.sampler.Next()
}

// finish ends the use of s and returns the time if it has read the clock, or 0. Caller must hold p.mu: a time from before could be
// earlier than that at which Stats has just said how long the use has taken so far.
func (p *Resources[T]) finish(s *resSlot[T]) (now time.Duration) {
	p.completed[instrument.OK]++
	if s.weight > 0 {
		now = instrument.Now()
		p.uses.Sample(now-s.started, s.weight, p.completed[instrument.OK])
		p.sampler.Timed(now - s.started)
		s.weight = 0
	}
	if s.waiter != nil {
		p.reuse(s.waiter)
		s.waiter = nil
	}
	return now
}

// release ends the use of s. Unused means that the resource was idle all the time. Caller must hold p.mu.
func (p *Resources[T]) release(s *resSlot[T], unused bool) {
	p.offer(s, p.finish(s), unused)
}

// offer gives s to the first caller that waits, makes it available, or destroys it if it has become useless. Caller must hold p.mu.
func (p *Resources[T]) offer(s *resSlot[T], now time.Duration, unused bool) {
	if reason, useless := p.useless(s, now); useless {
		p.destroyLater(s, reason)
		return
	}
	if !unused {
		s.lastUsed = p.approx(now)
	}
	if w := p.queue.first; w != nil {
		p.queue.remove(w)
		p.waits.End(&w.wait)
		p.waits.Add(instrument.Acquired, &w.wait)
		s.waiter = w
		p.lend(s)
		w.ready <- Lease[T]{s, s.turn}
		return
	}
	if unused {
		p.tend() // it may have been idle for too long
	}
	s.state = resIdle
	s.next, p.idle = p.idle, s
	p.idles++
}

// useless reports whether a resource that comes back must go, and why. Caller must hold p.mu.
func (p *Resources[T]) useless(s *resSlot[T], now time.Duration) (resReason, bool) {
	switch {
	case p.closed:
		return resPoolClosed, true
	case s.epoch != p.epoch:
		return resReset, true
	case p.surplus() > 0:
		return resShrink, true
	case s.expires != 0 && p.approx(now) >= s.expires:
		return resLifetime, true
	}
	return 0, false
}

// discard destroys the idle slot s. Caller must hold p.mu.
func (p *Resources[T]) discard(s *resSlot[T], reason resReason) {
	for link := &p.idle; ; link = &(*link).next {
		if *link == s {
			*link = s.next
			break
		}
	}
	s.next = nil
	p.idles--
	p.destroyLater(s, reason)
}

// expel destroys all idle slots, and makes all others useless. Caller must hold p.mu.
func (p *Resources[T]) expel(reason resReason) {
	p.epoch++
	for p.idle != nil {
		p.discard(p.idle, reason)
	}
}

// approx returns the time: now, if that is known and not 0, or that of the clock. Caller must hold p.mu.
func (p *Resources[T]) approx(now time.Duration) time.Duration {
	if now == 0 {
		now, _ = p.clock.Now()
	}
	return now
}

// wantsCheck reports whether the idle slot s may only be lent after a check. Caller must hold p.mu.
func (p *Resources[T]) wantsCheck(s *resSlot[T]) bool {
	return p.cfg.Check != nil && p.approx(0)-max(s.lastUsed, s.checked) >= p.cfg.CheckAfter
}

// idleSlots returns the idle slots, the one that was idle for longest first. Caller must hold p.mu.
func (p *Resources[T]) idleSlots() []*resSlot[T] {
	all := make([]*resSlot[T], 0, p.idles)
	for s := p.idle; s != nil; s = s.next {
		all = append(all, s)
	}
	slices.Reverse(all)
	return all
}
