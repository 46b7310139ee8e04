package pools

import (
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Lease is the right to use a resource, from when it was acquired until it is released, destroyed or hijacked. It belongs to one
// goroutine at a time. Whoever has it must end it: the pool has no other way to get the resource back.
//
// A Lease may be copied; all copies end together. Any use of one that has ended panics with the name of the pool, even if the
// resource was lent to somebody else since, and leaves the pool as it was. Of two goroutines that release one at the same moment the
// second may be told by [go.opentelemetry.io/otel.Handle] instead.
type Lease[T any] struct {
	slot *resSlot[T]
	turn uint64
}

// Value returns the resource. After Hijack it still does.
func (l Lease[T]) Value() T {
	l.mustHold("Value")
	return l.slot.value
}

// CreationTime returns when the resource was constructed.
func (l Lease[T]) CreationTime() time.Time {
	l.mustHold("CreationTime")
	return l.slot.created
}

// IdleDuration returns the time since the use before this one ended by Release, or since the resource was constructed. While the
// pool is so busy that it does not read the clock for each use, the result may be up to 10 ms too long.
func (l Lease[T]) IdleDuration() time.Duration {
	l.mustHold("IdleDuration")
	return instrument.Now() - l.slot.lastUsed
}

// Release gives the resource back to the pool.
func (l Lease[T]) Release() {
	l.release("Release", false)
}

// ReleaseUnused gives the resource back as if it had not been lent: it counts as idle since the use before.
func (l Lease[T]) ReleaseUnused() {
	l.release("ReleaseUnused", true)
}

func (l Lease[T]) release(method string, unused bool) {
	s := l.slot
	if s == nil {
		l.misused(method)
	}
	p := s.pool
	if !p.mu.TryLock() {
		if p.mu.leave(l, unused) {
			return
		}
		p.mu.Lock()
	}
	l.end(method)
	p.release(s, unused)
	p.mu.Unlock()
}

// Destroy takes the resource out of the pool, for one that is broken. It does not wait for the function that destroys it.
func (l Lease[T]) Destroy() {
	s, p := l.begin("Destroy")
	p.finish(s)
	p.destroyLater(s, resDestroyed)
	p.mu.Unlock()
}

// Hijack takes the resource out of the pool and leaves it to the caller, who has to destroy it.
func (l Lease[T]) Hijack() {
	s, p := l.begin("Hijack")
	p.finish(s)
	s.turn, s.state = l.turn, resHijacked // so that Value remains
	p.ended[resByHijack]++
	p.remove(s)
	p.mu.Unlock()
}

// begin locks the pool and ends the lease.
func (l Lease[T]) begin(method string) (*resSlot[T], *Resources[T]) {
	if l.slot == nil {
		l.misused(method)
	}
	p := l.slot.pool
	p.mu.Lock()
	l.end(method)
	return l.slot, p
}

// end ends the lease, unless that was done before: then it unlocks the pool and panics. Caller must hold the lock of the pool.
func (l Lease[T]) end(method string) {
	if s := l.slot; s.turn != l.turn || s.state != resUsed {
		s.pool.mu.Unlock()
		l.misused(method)
	}
	l.slot.turn++
}

// mustHold panics if the lease has ended. It reads the slot without the lock, which is free of races for whoever holds the lease.
func (l Lease[T]) mustHold(method string) {
	if l.slot == nil || l.slot.leftTurn.Load() == l.turn || l.slot.turn != l.turn { // in this order: turn grows before leftTurn is cleared
		l.misused(method)
	}
}

func (l Lease[T]) misused(method string) {
	if l.slot == nil {
		panic(fmt.Sprintf("pools: %s of a Lease that was never acquired", method))
	}
	panic(l.slot.pool.errEnded(method).Error())
}

// errEnded says that a lease was used by a method when it had ended.
func (p *Resources[T]) errEnded(method string) error {
	return fmt.Errorf("pools: resources %q: %s of a lease that has ended", p.name, method)
}
