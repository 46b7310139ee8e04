package pools

import (
	"context"
	"fmt"
	"runtime"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/waittime"
)

// resWaiter is a caller that waits. The pool uses it again when the slot that it got comes back, since then the caller has
// certainly received what was sent to it.
type resWaiter[T any] struct {
	ready      chan Lease[T] // holds one; no slot means that the pool was closed
	wait       waittime.Wait
	prev, next *resWaiter[T]
	queued     bool
}

// resQueue holds waiters in the order in which they came.
type resQueue[T any] struct {
	first, last *resWaiter[T]
	length      int
}

func (q *resQueue[T]) push(w *resWaiter[T]) {
	w.queued, w.prev = true, q.last
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.length++
}

func (q *resQueue[T]) remove(w *resWaiter[T]) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.length--
}

func (q *resQueue[T]) pop() *resWaiter[T] {
	w := q.first
	q.remove(w)
	return w
}

// resFree bounds how many waiters are kept for use again.
const resFree = 64

// resYields is how often a caller lets others run before it queues up, if nobody waits yet. Who was preempted while he had a resource
// gives it back meanwhile. Otherwise one queue would form and never end: as long as one waits, every resource goes to a waiter, who
// has to be woken for it.
const resYields = 8

// acquireSlowly acquires where nothing that is idle can be lent at once. Caller must hold p.mu, which it releases.
func (p *Resources[T]) acquireSlowly(ctx context.Context) (Lease[T], error) {
	var wait waittime.Wait // begins when it is clear that the caller has to wait
	for tries := 0; ; tries++ {
		if p.closed {
			p.giveUp(instrument.WasClosed, wait)
			p.mu.Unlock()
			return Lease[T]{}, p.errClosed
		}
		if s := p.idle; s != nil && !p.wantsCheck(s) {
			p.waits.End(&wait)
			p.waits.Add(instrument.Acquired, &wait)
			p.pop(s)
			p.lend(s)
			p.mu.Unlock()
			return Lease[T]{s, s.turn}, nil
		}
		if s := p.reserve(); s != nil {
			p.waits.End(&wait)
			s.wanted, s.wait = true, wait
			p.mu.Unlock()
			return p.await(ctx, s)
		}
		if !wait.Begun() {
			p.waits.Begin(&wait)
		}
		if tries == resYields || p.queue.first != nil || isDone(ctx.Done()) {
			break
		}
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
	}
	w := p.enqueue(&wait)
	p.mu.Unlock()
	return p.wait(ctx, w)
}

// reserve returns a slot that is to be checked or constructed, if there is one or room for one. Caller must hold p.mu.
func (p *Resources[T]) reserve() *resSlot[T] {
	if s := p.idle; s != nil {
		p.pop(s)
		s.state = resConstructing
		return s
	}
	if p.hasRoom() {
		return p.add()
	}
	return nil
}

func (p *Resources[T]) enqueue(wait *waittime.Wait) *resWaiter[T] {
	var w *resWaiter[T]
	if n := len(p.free); n > 0 {
		w, p.free = p.free[n-1], p.free[:n-1]
	} else {
		w = &resWaiter[T]{ready: make(chan Lease[T], 1)}
	}
	w.wait = *wait
	p.queue.push(w)
	return w
}

func (p *Resources[T]) reuse(w *resWaiter[T]) {
	if len(p.free) < resFree {
		p.free = append(p.free, w)
	}
}

// wait returns what w gets.
func (p *Resources[T]) wait(ctx context.Context, w *resWaiter[T]) (Lease[T], error) {
	var l Lease[T]
	if done := ctx.Done(); done == nil {
		l = <-w.ready
	} else {
		select {
		case l = <-w.ready:
		case <-done:
			if p.leave(w, ctx.Err()) {
				return Lease[T]{}, p.error(ctx.Err())
			}
			l = <-w.ready // it got something at the same moment
		}
	}
	switch {
	case l.slot == nil:
		return l, p.errClosed
	case l.slot.state == resConstructing: // nobody else may change the state now
		return p.await(ctx, l.slot)
	}
	return l, nil
}

// leave takes w out of the queue, unless it has got something.
func (p *Resources[T]) leave(w *resWaiter[T], err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.queued {
		return false
	}
	p.queue.remove(w)
	p.giveUp(instrument.GaveUp(err), w.wait)
	p.reuse(w)
	return true
}

// dismiss sends all waiters away, since the pool is closed. Caller must hold p.mu.
func (p *Resources[T]) dismiss() {
	for p.queue.first != nil {
		w := p.queue.pop()
		p.giveUp(instrument.WasClosed, w.wait)
		w.ready <- Lease[T]{}
	}
}

// giveUp counts a request that got nothing, after a wait if there was one. Caller must hold p.mu.
func (p *Resources[T]) giveUp(outcome instrument.Outcome, wait waittime.Wait) {
	p.refused[outcome]++
	p.waits.GiveUp(outcome, &wait)
}

// refuse counts a request that got nothing without a wait. Caller must hold p.mu, which it releases.
func (p *Resources[T]) refuse(outcome instrument.Outcome) {
	p.refused[outcome]++
	p.mu.Unlock()
}

// await returns the lease of s, which is to be constructed for the caller, unless ctx ends first.
func (p *Resources[T]) await(ctx context.Context, s *resSlot[T]) (Lease[T], error) {
	done := p.prepareLater(context.WithoutCancel(ctx), s)
	select {
	case err := <-done:
		return p.prepared(s, err)
	case <-ctx.Done():
	}
	p.mu.Lock()
	if s.wanted {
		s.wanted = false
		outcome := instrument.GaveUp(ctx.Err())
		p.refused[outcome]++
		p.waits.Add(outcome, &s.wait)
		p.mu.Unlock()
		return Lease[T]{}, fmt.Errorf("resources %q: while a resource was being constructed: %w", p.name, ctx.Err())
	}
	p.mu.Unlock()
	return p.prepared(s, <-done) // it became ready at the same moment
}

func (p *Resources[T]) prepared(s *resSlot[T], err error) (Lease[T], error) {
	if err != nil {
		return Lease[T]{}, err
	}
	return Lease[T]{s, s.turn}, nil
}
