package pools

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/waittime"
)

// semWaiter is a request that waits.
type semWaiter struct {
	n       int64
	wait    waittime.Wait
	timed   bool          // end is wanted
	end     time.Duration // set by the waiter itself
	number  uint64        // in the order of arrival
	ready   chan struct{} // gets one value when the wait is over; buffered, so that nobody waits for the waiter
	verdict semVerdict
	in      *semList
	prev    *semWaiter
	next    *semWaiter
}

// semVerdict is how a wait ended.
type semVerdict uint8

const (
	semOpen    semVerdict = iota
	semServed             // the permits are handed over
	semRefused            // the semaphore was closed
)

// semList is a list of waiters, linked through themselves.
type semList struct {
	first, last *semWaiter
}

func (l *semList) push(w *semWaiter) {
	w.in, w.prev, w.next = l, l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
}

func (l *semList) remove(w *semWaiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.in, w.prev, w.next = nil, nil, nil
}

// wait queues a request up, lets go of mu, and returns when it has its permits or failed. Caller must hold mu.
func (s *Semaphore) wait(ctx context.Context, n int64, wait *waittime.Wait) error {
	w := s.spare
	if w == nil {
		w = &semWaiter{ready: make(chan struct{}, 1)}
	}
	s.spare, w.next = w.next, nil
	s.arrived++
	w.n, w.wait, w.number, w.verdict = n, *wait, s.arrived, semOpen
	if n > s.size.Load() {
		s.tooBig.push(w)
	} else {
		s.queue.push(w)
	}
	s.pending++
	if s.closed.Load() {
		s.refuseWaiters()
	}
	s.unlock()

	done := ctx.Done()
	woken := true
	if done == nil {
		<-w.ready
	} else {
		select {
		case <-w.ready:
		case <-done:
			woken = false
		}
	}
	// Permits that came too late go back, as in x/sync: who sees his context done after Acquire did not get them.
	if isDone(done) {
		return s.giveUp(w, ctx.Err(), woken)
	}
	if w.verdict == semRefused {
		return s.giveUp(w, s.errClosed(), woken)
	}
	if w.timed {
		w.end = instrument.Now()
	}
	s.waits.End(&w.wait)
	for {
		w.next = s.woken.Load()
		if s.woken.CompareAndSwap(w.next, w) {
			return nil
		}
	}
}

// countWoken counts the waiters that got their permits. Caller must hold mu.
func (s *Semaphore) countWoken() {
	var first *semWaiter
	for w := s.woken.Swap(nil); w != nil; { // the last comes first
		w.next, first, w = first, w, w.next
	}
	for w := first; w != nil; {
		next := w.next
		if !w.timed {
			w.end = s.time.NowIfTimed()
		}
		s.change(semAcquire, w.end)
		s.handed -= w.n
		s.pending--
		s.waits.Add(instrument.Acquired, &w.wait)
		w.next, s.spare, w = s.spare, w, next
	}
}

// giveUp ends the wait of w with an error and returns that. Woken says that w has received what is sent to it.
func (s *Semaphore) giveUp(w *semWaiter, err error, woken bool) error {
	s.lock()
	defer s.unlock()
	outcome := semOutcome(err)
	s.ended[outcome]++
	s.pending--
	s.waits.GiveUp(outcome, &w.wait)
	switch w.verdict {
	case semServed:
		s.handed -= w.n
		s.free += w.n
	case semOpen:
		w.in.remove(w)
		woken = true // nothing will be sent
	}
	s.serve()
	if !woken {
		<-w.ready // it is there: it was sent while the lock was held
	}
	w.next, s.spare = s.spare, w
	return err
}

// serve hands permits to waiters in their order, until the first that asks for more than are free. To go on and look for a smaller
// one would starve the larger. Caller must hold mu.
func (s *Semaphore) serve() {
	for w := s.queue.first; w != nil && w.n <= s.free; w = s.queue.first {
		s.free -= w.n
		s.handed += w.n
		s.word.Store(s.free << semShift) // whoever is woken must not find fewer permits than there are
		s.end(w, semServed)
	}
}

// refuseWaiters ends all waits, since the semaphore is closed. Caller must hold mu.
func (s *Semaphore) refuseWaiters() {
	for _, l := range []*semList{&s.queue, &s.tooBig} {
		for l.first != nil {
			s.end(l.first, semRefused)
		}
	}
}

// end takes w out of its list and wakes it. Caller must hold mu.
func (s *Semaphore) end(w *semWaiter, v semVerdict) {
	w.in.remove(w)
	w.verdict, w.timed = v, s.time.Timing()
	w.ready <- struct{}{}
}

// sortWaiters puts each waiter into the list where it belongs after the size has changed. Caller must hold mu.
func (s *Semaphore) sortWaiters() {
	var all []*semWaiter
	for _, l := range []*semList{&s.queue, &s.tooBig} {
		for w := l.first; w != nil; w = l.first {
			l.remove(w)
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *semWaiter) int { return cmp.Compare(a.number, b.number) })
	for _, w := range all {
		if w.n > s.size.Load() {
			s.tooBig.push(w)
		} else {
			s.queue.push(w)
		}
	}
}

// oldest returns the waiter that waits longest, nil if nobody does. Caller must hold mu.
func (s *Semaphore) oldest() *semWaiter {
	a, b := s.queue.first, s.tooBig.first
	if a == nil || b != nil && b.number < a.number {
		return b
	}
	return a
}
