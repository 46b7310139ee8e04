package pools

import (
	"context"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// semWaiter is a waiting request.
type semWaiter = waiter[int64, bool]

// refusal returns nil if a new request may wait. Otherwise it counts the request as closed or
// rejected, and returns the error for its caller. Caller must hold mu.
func (s *Semaphore) refusal() error {
	switch {
	case s.closed.Load():
		s.requests.Add(instrument.WasClosed, 1)
		return s.error(ErrClosed)
	case s.config.MaxPending > 0 && s.pending() >= s.config.MaxPending:
		s.requests.Add(instrument.Rejected, 1)
		return s.error(ErrFull)
	}
	return nil
}

// pending returns the number of waiting requests. Caller must hold mu.
func (s *Semaphore) pending() int { return s.queue.length + s.tooBig.length }

// enqueue adds a request for n permits to the queue to which it belongs. Caller must hold mu.
func (s *Semaphore) enqueue(n int64) *semWaiter {
	w := s.waiters.get()
	s.arrived++
	w.ask, w.number = n, s.arrived
	now := s.meter.Event(s.used())
	s.advanceHeldBack(now)
	w.wait = s.requests.Begin(&s.meter, now)
	s.queueOf(w).push(w)
	return w
}

// queueOf returns the queue to which w belongs. Caller must hold mu.
func (s *Semaphore) queueOf(w *semWaiter) *waitQueue[int64, bool] {
	if w.ask > s.size.Load() {
		return &s.tooBig
	}
	return &s.queue
}

// wait waits until w has its permits or has failed.
func (s *Semaphore) wait(ctx context.Context, w *semWaiter) error {
	defer s.waiters.put(w)
	done := ctx.Done()
	var served bool
	if done == nil {
		served = <-w.answer
	} else {
		select {
		case served = <-w.answer:
		case <-done:
			served = s.giveUp(w, ctx.Err())
		}
	}
	s.requests.Traced(ctx, w.waited)
	switch {
	case isDone(done): // as in x/sync, a caller whose context is done gets no permits
		if served {
			s.Release(w.ask)
		}
		return ctx.Err()
	case !served:
		return s.error(ErrClosed)
	}
	return nil
}

// giveUp ends w's wait with err. If w has already been answered, giveUp returns the answer instead.
func (s *Semaphore) giveUp(w *semWaiter, err error) (served bool) {
	s.lock()
	defer s.unlock()
	if w.queue == nil {
		return <-w.answer
	}
	now := s.meter.Event(s.used())
	s.advanceHeldBack(now)
	w.queue.remove(w)
	w.waited = s.requests.End(&s.meter, instrument.GaveUp(err), w.wait, now)
	s.serve(now)
	return false
}

// serve hands permits to waiters in order, up to the first waiter that needs more permits than are
// free. Serving a smaller request behind that waiter could starve it. Caller must hold mu.
func (s *Semaphore) serve(now time.Duration) {
	for w := s.queue.first; w != nil && w.ask <= s.free; w = s.queue.first {
		s.free -= w.ask
		s.answer(w, instrument.Acquired, now)
	}
}

// answer ends w's wait with outcome o and wakes its goroutine. Caller must hold mu.
func (s *Semaphore) answer(w *semWaiter, o instrument.Outcome, now time.Duration) {
	w.queue.remove(w)
	w.waited = s.requests.End(&s.meter, o, w.wait, now)
	w.answer <- o == instrument.Acquired
}

// Resize changes the number of permits to n, which must be from 0 to [MaxPermits]. If n is larger
// than before, waiters are served in order. If n is smaller, no permits are revoked: Usage may
// exceed Limit, and no request is served until enough permits have been released.
func (s *Semaphore) Resize(n int64) error {
	if err := s.checkSize(n); err != nil {
		return err
	}
	s.setSize(n)
	return nil
}

func (s *Semaphore) setSize(n int64) {
	s.lock()
	defer s.unlock()
	delta := n - s.size.Load()
	if delta == 0 {
		return
	}
	now := s.meter.Event(s.used())
	s.advanceHeldBack(now)
	s.free += delta
	s.size.Store(n)
	s.limitChanges++
	s.sortWaiters()
	s.serve(now)
}

// held returns the number of permits used.
func (s *Semaphore) held() int64 {
	s.lock()
	defer s.unlock()
	return s.used()
}

// inUse reports whether permits are used or requests are waiting.
func (s *Semaphore) inUse() bool {
	s.lock()
	defer s.unlock()
	return s.used() > 0 || s.pending() > 0
}

// sortWaiters moves each waiter to the queue to which it belongs after the size has changed. Caller
// must hold mu.
func (s *Semaphore) sortWaiters() {
	queue, tooBig := s.queue, s.tooBig
	s.queue, s.tooBig = waitQueue[int64, bool]{}, waitQueue[int64, bool]{}
	for a, b := queue.first, tooBig.first; a != nil || b != nil; {
		w := earlier(a, b)
		if w == a {
			a = a.next
		} else {
			b = b.next
		}
		s.queueOf(w).push(w)
	}
}

// earlier returns whichever of a and b arrived first. Either may be nil.
func earlier(a, b *semWaiter) *semWaiter {
	if a == nil || b != nil && b.number < a.number {
		return b
	}
	return a
}

// Close makes all waiting and later requests fail with [ErrClosed], and stops reporting the
// semaphore. Permits that are still held can be released later. Further calls to Close have no
// effect.
func (s *Semaphore) Close() {
	s.lock()
	s.closed.Store(true)
	now := s.meter.Event(s.used())
	s.advanceHeldBack(now)
	for w := earlier(s.queue.first, s.tooBig.first); w != nil; w = earlier(s.queue.first, s.tooBig.first) {
		s.answer(w, instrument.WasClosed, now)
	}
	s.meter.Close()
	s.unlock()
	s.reg.Close()
}
