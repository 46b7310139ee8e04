package pools

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/internal/callsite"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// resState is the state of a slot.
type resState uint8

const (
	// a goroutine, which owns value, made and started, is constructing or checking the slot's
	// resource
	resPreparing resState = iota
	resIdle
	resUsed // lent to a caller; the lease owns value
	resHijacked
	resClosing // being destroyed by a goroutine, which owns value
)

// resSlot is a place for one resource. It is in Resources.slots until the resource is destroyed or
// hijacked. The pool's lock guards its fields, except those that a state gives to another owner
// (see resState), and trace and traced, which the holder of the lease writes.
type resSlot[T any] struct {
	pool       *Resources[T]
	prev, next *resSlot[T]
	generation uint64 // number of the slot's current lease, from 1
	use        measure.Use
	lastUsed   time.Duration
	expires    time.Duration // when the resource's lifetime ends; 0 means never
	epoch      int
	index      int // index in Resources.slots
	state      resState
	made       bool // value holds a resource
	unused     bool // not used since it was constructed or checked
	wanted     bool // a caller waits for the construction or check
	value      T

	site   callsite.Site // line of code of the holder or of the waiting caller
	trace  trace.TraceID // trace of the request for lease number traced; written before traced
	traced atomic.Uint64 // number of the last lease that has a trace

	wait     measure.Span  // the waiting caller's wait for a slot
	reserved time.Duration // when the wait ended; 0 if the caller did not wait
	waited   measure.Waited
	started  time.Duration // when the constructor was called; 0 if it was not called
	checked  time.Duration // when the resource was constructed, or last passed its check
	created  time.Time
}

// hold describes the holder of the lease. Caller must hold p.mu.
func (s *resSlot[T]) hold() measure.Hold {
	h := measure.Hold{Site: s.site}
	if s.traced.Load() == s.generation {
		h.Trace = s.trace
	}
	return h
}

// resIdleList is a list of idle slots. first is the slot that was released most recently.
type resIdleList[T any] struct {
	first, last *resSlot[T]
	length      int
}

func (l *resIdleList[T]) push(s *resSlot[T]) {
	s.next = l.first
	if l.first == nil {
		l.last = s
	} else {
		l.first.prev = s
	}
	l.first = s
	l.length++
}

func (l *resIdleList[T]) remove(s *resSlot[T]) {
	if s.prev == nil {
		l.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	l.length--
}

// add adds a slot whose resource is to be constructed. The pool must have room for it. Caller must
// hold p.mu.
func (p *Resources[T]) add() *resSlot[T] {
	s := &resSlot[T]{pool: p, generation: 1, epoch: p.epoch, index: len(p.slots)}
	p.slots = append(p.slots, s)
	p.preparing++
	return s
}

// reserve returns an idle slot, whose resource must then be checked, or a new slot, whose resource
// must then be constructed. It returns nil if no slot is idle and there is no room. Caller must
// hold p.mu.
func (p *Resources[T]) reserve() *resSlot[T] {
	if s := p.idle.first; s != nil {
		p.idle.remove(s)
		s.state = resPreparing
		p.preparing++
		return s
	}
	if p.hasRoom() {
		return p.add()
	}
	return nil
}

// remove removes s from the pool and gives its place to the first waiting caller. Caller must hold
// p.mu.
func (p *Resources[T]) remove(s *resSlot[T]) {
	last := len(p.slots) - 1
	p.slots[s.index] = p.slots[last]
	p.slots[s.index].index = s.index
	p.slots[last] = nil
	p.slots = p.slots[:last]
	p.serveWaiters()
}

// serveWaiters must be called after slots or the limit have changed. It serves as many waiters as
// possible, and closes drained once a closed pool is empty. Caller must hold p.mu.
func (p *Resources[T]) serveWaiters() {
	for p.waiting.first != nil && p.hasRoom() {
		w := p.waiting.first
		p.waiting.remove(w)
		s := p.add()
		s.wanted, s.site, s.wait, s.reserved = true, w.ask, w.wait, measure.Clock()
		p.wanted++
		w.answer <- Lease[T]{s, s.generation}
	}
	if p.closed && len(p.slots) == 0 && p.hung == 0 && !p.empty {
		p.empty = true
		close(p.drained)
	}
	p.wakeMaintainer()
}

func (p *Resources[T]) hasRoom() bool {
	return len(p.slots) < p.limit
}

// surplus returns how many resources must be destroyed because the limit was lowered. It may be
// negative. Caller must hold p.mu.
func (p *Resources[T]) surplus() int {
	return len(p.slots) - p.closing - p.limit
}

// mustDestroy reports whether the resource of s, which is being released at time now, must be
// destroyed, and why. Caller must hold p.mu.
func (p *Resources[T]) mustDestroy(s *resSlot[T], now time.Duration) (resReason, bool) {
	switch {
	case p.closed:
		return resPoolClosed, true
	case s.epoch != p.epoch:
		return resReset, true
	case p.surplus() > 0:
		return resShrink, true
	case s.expires != 0 && p.meter.Approx(now) >= s.expires:
		return resLifetime, true
	}
	return 0, false
}

// wantsCheck reports whether the idle slot s must be checked before it is lent. Caller must hold
// p.mu.
func (p *Resources[T]) wantsCheck(s *resSlot[T]) bool {
	return p.cfg.Check != nil &&
		(p.cfg.CheckAfter < 0 || p.meter.Approx(0)-max(s.lastUsed, s.checked) >= p.cfg.CheckAfter)
}

// wasChecked reports whether the idle slot s was checked at most one second ago and has not been
// used since. TryAcquire lends such a slot even if CheckAfter is shorter, since otherwise it might
// never find a slot to lend.
func (p *Resources[T]) wasChecked(s *resSlot[T]) bool {
	return s.unused && p.meter.Approx(0)-s.checked < time.Second
}

// discard marks the idle slot s for destruction, and returns s. Caller must hold p.mu.
func (p *Resources[T]) discard(s *resSlot[T], reason resReason) *resSlot[T] {
	p.idle.remove(s)
	s.state = resClosing
	p.closing++
	p.ended[reason]++
	return s
}

// invalidateAll invalidates all resources by incrementing the pool's epoch, without visiting each
// slot. It returns the slots that were idle, linked by next, for destroyAll. Caller must hold p.mu.
func (p *Resources[T]) invalidateAll(reason resReason) (idle *resSlot[T]) {
	idle = p.idle.first
	p.epoch++
	p.closing += p.idle.length
	p.ended[reason] += int64(p.idle.length)
	p.idle = resIdleList[T]{}
	return idle
}
