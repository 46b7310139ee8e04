package pools

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/callsite"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Lease is the right to use a resource, from Acquire until the resource is released, destroyed or
// hijacked. Only one goroutine at a time may use a Lease. The holder must end the lease: the pool
// cannot take back the resource.
//
// A Lease may be copied; all copies end together. Using a lease that has ended panics with a
// message that contains the pool's name, and does not change the pool, even if the resource has
// been lent to another caller since.
type Lease[T any] struct {
	slot       *resSlot[T]
	generation uint64
}

// Acquire returns an idle resource, constructs one if there is room, or waits for one. If ctx is
// done first, Acquire returns ctx.Err() immediately; a resource that was being constructed for the
// call joins the pool when it is ready. Any other error wraps the constructor's error, [ErrFull] if
// MaxPending callers are waiting, or [ErrClosed].
//
//go:noinline
func (p *Resources[T]) Acquire(ctx context.Context) (Lease[T], error) {
	var site callsite.Site
	if !p.unmeasured {
		callsite.Note(&site)
	}
	if err := ctx.Err(); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return Lease[T]{}, p.refuse(instrument.GaveUp(err), err)
	}
	p.mu.Lock()
	s := p.idle.first
	if s == nil || p.wantsCheck(s) {
		l, err := p.acquireSlow(ctx, &site)
		if err == nil && l.slot.use.IsTimed() {
			l.noteTrace(ctx)
		}
		return l, err
	}
	p.idle.remove(s)
	l := p.lendIdle(s, &site)
	traced := p.isTraced(s)
	p.mu.Unlock()
	if traced {
		l.noteTrace(ctx)
	}
	return l, nil
}

// acquireSlow is the slow path of Acquire, taken if no idle resource can be lent immediately.
// Caller must hold p.mu, which acquireSlow releases.
func (p *Resources[T]) acquireSlow(ctx context.Context, site *callsite.Site) (Lease[T], error) {
	if p.closed {
		defer p.mu.Unlock()
		return Lease[T]{}, p.refuse(instrument.WasClosed, p.errClosed)
	}
	if s := p.reserve(); s != nil {
		s.wanted, s.site = true, *site
		p.wanted++
		p.mu.Unlock()
		return p.await(ctx, s)
	}
	if p.cfg.MaxPending > 0 && p.waiting.length >= p.cfg.MaxPending {
		defer p.mu.Unlock()
		return Lease[T]{}, p.refuse(instrument.Rejected, p.errFull)
	}
	w := p.waiters.get()
	w.ask = *site
	w.wait = p.requests.Begin(&p.meter, p.meter.Event(p.uses.InUse()))
	p.waiting.push(w)
	p.mu.Unlock()
	return p.wait(ctx, w)
}

// wait waits until w is answered and the resource of its lease is ready.
func (p *Resources[T]) wait(ctx context.Context, w *waiter[callsite.Site, Lease[T]]) (l Lease[T], err error) {
	defer p.waiters.put(w)
	if done := ctx.Done(); done == nil {
		l = <-w.answer
	} else {
		select {
		case l = <-w.answer:
		case <-done:
			if p.giveUp(w, ctx.Err()) {
				p.requests.Traced(ctx, w.waited)
				return l, ctx.Err()
			}
			l = <-w.answer // w was answered first
		}
	}
	p.requests.Traced(ctx, w.waited)
	switch {
	case l.slot == nil:
		return l, p.errClosed
	case l.slot.state == resPreparing: // needs no lock: only this caller can change the state now
		return p.await(ctx, l.slot)
	}
	return l, nil
}

// giveUp removes w from the queue unless w has been answered. It reports whether it removed w.
func (p *Resources[T]) giveUp(w *waiter[callsite.Site, Lease[T]], err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.queue == nil {
		return false
	}
	p.waiting.remove(w)
	w.waited = p.requests.End(&p.meter, instrument.GaveUp(err), w.wait, p.meter.Event(p.uses.InUse()))
	return true
}

// rejectWaiters answers all waiters with errClosed. Caller must hold p.mu.
func (p *Resources[T]) rejectWaiters() {
	for w := p.waiting.first; w != nil; w = p.waiting.first {
		p.waiting.remove(w)
		w.waited = p.requests.End(&p.meter, instrument.WasClosed, w.wait, p.meter.Event(p.uses.InUse()))
		w.answer <- Lease[T]{}
	}
}

// refuse counts, under outcome, a request that fails without waiting, and returns err. Caller must
// hold p.mu.
func (p *Resources[T]) refuse(outcome instrument.Outcome, err error) error {
	p.requests.Add(outcome, 1)
	return err
}

// TryAcquire returns an idle resource, or an error that wraps [ErrFull] if there is none. It never
// waits. If none is idle and there is room, it starts to construct a resource in the background,
// with a context derived from ctx. A resource that is due for a check does not count as idle:
// TryAcquire starts a check in the background, which continues even if ctx ends. Until one second
// after the check, TryAcquire returns the resource without checking it again, if it is still idle.
//
//go:noinline
func (p *Resources[T]) TryAcquire(ctx context.Context) (Lease[T], error) {
	var site callsite.Site
	if !p.unmeasured {
		callsite.Note(&site)
	}
	l, traced, err := p.tryAcquire(ctx, &site)
	if traced {
		l.noteTrace(ctx)
	}
	return l, err
}

// tryAcquire is like TryAcquire, but does not record the trace. traced reports whether the caller
// should.
func (p *Resources[T]) tryAcquire(ctx context.Context, site *callsite.Site) (l Lease[T], traced bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return Lease[T]{}, false, p.refuse(instrument.WasClosed, p.errClosed)
	}
	if s := p.idle.first; s != nil && (!p.wantsCheck(s) || p.wasChecked(s)) {
		p.idle.remove(s)
		l = p.lendIdle(s, site)
		return l, p.isTraced(s), nil
	}
	if s := p.reserve(); s != nil {
		ctx, stop := p.untilClosed(ctx)
		go func() {
			defer stop()
			p.prepare(ctx, s, make(chan error, 1))
		}()
	}
	return Lease[T]{}, false, p.refuse(instrument.Rejected, p.errFull)
}

// AcquireAllIdle acquires all idle resources, for example to check them or to keep them alive. It
// neither waits nor constructs resources.
//
//go:noinline
func (p *Resources[T]) AcquireAllIdle() []Lease[T] {
	var site callsite.Site
	if !p.unmeasured {
		callsite.Note(&site)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	leases := make([]Lease[T], 0, p.idle.length)
	now := p.meter.Event(p.uses.InUse())
	for s := p.idle.first; s != nil; s = p.idle.first {
		p.idle.remove(s)
		p.requests.Add(instrument.Acquired, 1)
		leases = append(leases, p.lend(s, &site, now))
	}
	p.wakeMaintainer()
	return leases
}

// lendIdle lends s, which was just removed from the idle list, to a caller that has not waited.
// Caller must hold p.mu.
func (p *Resources[T]) lendIdle(s *resSlot[T], site *callsite.Site) Lease[T] {
	if p.idle.length < p.cfg.MinIdle {
		p.wakeMaintainer()
	}
	p.requests.Add(instrument.Acquired, 1)
	return p.lend(s, site, p.meter.Event(p.uses.InUse()))
}

// lend records the start of a use of s and returns its lease. now is the time that
// [measure.Meter.Event] returned. Caller must hold p.mu.
func (p *Resources[T]) lend(s *resSlot[T], site *callsite.Site, now time.Duration) Lease[T] {
	s.state, s.unused, s.site = resUsed, false, *site
	s.use = p.uses.Begin(&p.meter, now)
	return Lease[T]{s, s.generation}
}

// isTraced reports whether a request that got s without waiting should record its trace. It should
// if it took the last slot, since the next request will have to wait, and if the use is timed.
// Caller must hold p.mu.
func (p *Resources[T]) isTraced(s *resSlot[T]) bool {
	return p.idle.first == nil && !p.hasRoom() && s.use.IsTimed()
}

// noteTrace records the trace of the request that got the lease. It must be called before Acquire
// returns, since some frameworks reuse contexts, and without holding p.mu, since ctx.Value may run
// the program's code.
func (l Lease[T]) noteTrace(ctx context.Context) {
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		l.slot.trace = id
		l.slot.traced.Store(l.generation)
	}
}

// Release returns the resource to the pool.
func (l Lease[T]) Release() {
	p, now := l.endUse("Release")
	p.offer(l.slot, now, false)
	p.mu.Unlock()
}

// ReleaseUnused returns the resource to the pool without resetting its idle time: the resource
// counts as idle since its previous use.
func (l Lease[T]) ReleaseUnused() {
	p, now := l.endUse("ReleaseUnused")
	p.offer(l.slot, now, true)
	p.mu.Unlock()
}

// Destroy removes the resource from the pool and destroys it, for example because it is broken. It
// does not wait for the destructor.
func (l Lease[T]) Destroy() {
	p, _ := l.endUse("Destroy")
	p.destroyLater(l.slot, resDestroyed)
	p.mu.Unlock()
}

// Hijack removes the resource from the pool and leaves it to the caller, which must destroy it.
func (l Lease[T]) Hijack() {
	p, _ := l.endUse("Hijack")
	l.slot.generation, l.slot.state = l.generation, resHijacked // so that Value still works
	p.ended[resByHijack]++
	p.remove(l.slot)
	p.mu.Unlock()
}

// endUse locks the pool and records the end of the use. It panics if the lease has already ended.
// It returns the time, or 0 if the clock was not read. The caller must unlock p.mu.
func (l Lease[T]) endUse(method string) (*Resources[T], time.Duration) {
	s := l.slot
	if s == nil {
		l.misused(method)
	}
	p := s.pool
	p.mu.Lock()
	if s.generation != l.generation || s.state != resUsed {
		p.mu.Unlock()
		l.misused(method)
	}
	s.generation++
	now := p.meter.Event(p.uses.InUse())
	p.uses.End(&p.meter, s.use, instrument.OK, now)
	return p, now
}

// offer destroys the resource of s if it must not be kept. Otherwise it hands s to the first
// waiting caller or, if there is none, makes s idle. now is the time of the release or
// construction, or 0 if the clock was not read. If unused is set, the idle time is not reset.
// Caller must hold p.mu.
func (p *Resources[T]) offer(s *resSlot[T], now time.Duration, unused bool) {
	if reason, must := p.mustDestroy(s, now); must {
		p.destroyLater(s, reason)
		return
	}
	if !unused {
		s.lastUsed = p.meter.Approx(now)
	}
	if w := p.waiting.first; w != nil {
		p.waiting.remove(w)
		w.waited = p.requests.End(&p.meter, instrument.Acquired, w.wait, now)
		w.answer <- p.lend(s, &w.ask, now)
		return
	}
	s.state = resIdle
	p.idle.push(s)
	if end := s.lastUsed + p.cfg.MaxIdleTime; unused && p.cfg.MaxIdleTime > 0 && end < p.sweepAt {
		p.sweepAt = end
		p.wakeMaintainer()
	}
}

// Value returns the resource. It may also be called after Hijack.
func (l Lease[T]) Value() T {
	l.mustHold("Value")
	return l.slot.value
}

// CreationTime returns when the resource was constructed.
func (l Lease[T]) CreationTime() time.Time {
	l.mustHold("CreationTime")
	return l.slot.created
}

// IdleDuration returns the time since the resource was last released with Release or, if it never
// was, since it was constructed. While the pool is overloaded, the result may be up to 2 ms too
// long.
func (l Lease[T]) IdleDuration() time.Duration {
	l.mustHold("IdleDuration")
	return measure.Clock() - l.slot.lastUsed
}

// mustHold panics if the lease has ended. It reads the slot without locking, which is safe as long
// as only the lease's holder calls it.
func (l Lease[T]) mustHold(method string) {
	if l.slot == nil || l.slot.generation != l.generation {
		l.misused(method)
	}
}

func (l Lease[T]) misused(method string) {
	if l.slot == nil {
		panic(fmt.Sprintf("pools: %s called on a Lease that was never acquired", method))
	}
	panic(fmt.Sprintf("pools: resources %q: %s called on a lease that has ended", l.slot.pool.name, method))
}
