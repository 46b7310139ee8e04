package wrap

import (
	"context"
	"fmt"

	"github.com/poolgauge/poolgauge/instrument"
)

// Channel is a channel that is used as a semaphore, and reported.
type Channel struct {
	ch      chan struct{}
	permits permits
	// calls of Release that wait for a slot, or have just got one; guarded by the lock of permits
	releasing int64
}

// NewChannel reports a channel that is used as a semaphore: a send takes a slot, a receive gives
// one back, and there are as many as its capacity, at least 1. The caller keeps the channel. Its
// lines become methods:
//
//	ch <- struct{}{}            slots.Acquire(context.Background())
//	select { case ch <- …:      slots.TryAcquire()
//	select { … <-ctx.Done():    slots.Acquire(ctx)
//	<-ch                        slots.Release()
//
// It reports as the kind semaphore
//
//   - the limit and how many slots are used, from the channel itself: lines that have not become
//     methods count as well,
//   - the slot-seconds used, exactly if all lines are methods. Otherwise the slots used are seen
//     when a method is called or the Stats are read, and taken to have been so since the last time,
//   - of the methods only: how many requests wait, since when and how long each waited, how
//     requests end, and the slots that they took and that came back (completed), be it by Release
//     or by a line that receives; Release of a slot that a line has sent counts as nothing. How
//     long each slot is held cannot be known.
func NewChannel(name string, ch chan struct{}, opts ...instrument.Option) (*Channel, error) {
	if cap(ch) == 0 {
		return nil, fmt.Errorf("channel %q: a capacity of 0: want a buffered channel, with a place for each slot", name)
	}
	s := &Channel{ch: ch}
	if err := s.permits.observe(name, s.used, s.Stats, opts); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Channel) used() int64 { return int64(len(s.ch)) }

// Acquire takes a slot, and waits until one is free or ctx is done. It returns nil or the error of
// ctx; only if it is nil a slot is taken. If ctx is done already, it fails even if a slot is free.
// Requests are served in order, bare sends into the channel among them.
func (s *Channel) Acquire(ctx context.Context) error {
	done := ctx.Done()
	p := &s.permits
	p.Lock()
	if isDone(done) {
		err := ctx.Err()
		p.Requests.Add(instrument.GaveUp(err), 1)
		p.Unlock()
		return err
	}
	if s.try() {
		p.Unlock()
		return nil
	}
	waiting := p.wait()
	p.Unlock()
	var err error
	select {
	case s.ch <- struct{}{}:
	case <-done:
		err = ctx.Err()
	}
	p.Lock()
	waited := p.waited(waiting, s.used(), err)
	p.Unlock()
	p.Requests.Traced(ctx, waited)
	return err
}

// TryAcquire takes a slot if one is free, and reports whether it did.
func (s *Channel) TryAcquire() bool {
	p := &s.permits
	p.Lock()
	defer p.Unlock()
	if !s.try() {
		p.Requests.Add(instrument.Rejected, 1)
		return false
	}
	return true
}

// try takes a slot if one is free. Caller must hold the lock of the permits.
func (s *Channel) try() bool {
	before := s.used()
	select {
	case s.ch <- struct{}{}:
		s.permits.took(before)
		return true
	default:
		return false
	}
}

// Release gives a slot back. If none is taken it waits until one is, like a receive from the
// channel.
func (s *Channel) Release() {
	p := &s.permits
	p.Lock()
	before := s.used()
	select {
	case <-s.ch:
	default:
		s.releasing++
		p.Unlock()
		<-s.ch
		p.Lock()
		s.releasing--
		before = s.used()
	}
	p.Meter.Event(before)
	if s.held() > 0 {
		p.released++
	}
	p.Unlock()
}

// held returns how many slots the methods took that have not come back. Caller must hold the lock
// of the permits.
func (s *Channel) held() int64 {
	return s.permits.Requests.Ended(instrument.Acquired) - s.permits.released
}

// settle counts slots of the methods that came back otherwise: there are more than are used. Caller
// must hold the lock of the permits.
func (s *Channel) settle() {
	s.permits.released += max(0, s.held()-s.used()-s.releasing)
}

// Stats returns the state of the channel and what happened so far. A request that a release has
// just served, and whose goroutine does not run yet, has a slot and is still pending.
func (s *Channel) Stats() instrument.Stats {
	s.permits.Lock()
	defer s.permits.Unlock()
	s.settle()
	return s.permits.stats(int64(cap(s.ch)))
}

// Close ends the report. It does not close the channel, and the methods go on to work.
func (s *Channel) Close() { s.permits.close() }
