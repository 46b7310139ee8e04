package wrap

import (
	"context"
	"fmt"

	"github.com/poolgauge/poolgauge/instrument"
)

// Channel is an instrumented channel that is used as a semaphore.
type Channel struct {
	ch      chan struct{}
	permits permits
	// number of calls to Release that are waiting for a slot, or have just received one; guarded by
	// the lock of permits
	releasing int64
}

// NewChannel instruments a channel that is used as a semaphore: a send takes a slot, a receive
// returns one, and the number of slots is ch's capacity, which must be at least 1. The caller keeps
// the channel, but replaces the operations on it with methods:
//
//	ch <- struct{}{}            slots.Acquire(context.Background())
//	select { case ch <- …:      slots.TryAcquire()
//	select { … <-ctx.Done():    slots.Acquire(ctx)
//	<-ch                        slots.Release()
//
// The channel is reported as a pool of the kind semaphore, with
//
//   - the limit and the number of slots used, read from the channel itself, so that direct
//     operations on the channel count as well,
//   - the slot-seconds used. They are exact if all operations use the methods. Otherwise, the
//     number of slots used is read when a method is called or the Stats are read, and is assumed to
//     have been constant since the previous reading,
//   - for requests made through the methods only: how many are waiting, how long the oldest has
//     waited, how long each waited, how they ended, and how many of their slots were returned
//     (completed), by Release or by a receive. A Release of a slot that was taken by a send is not
//     counted. How long each slot is held is unknown.
func NewChannel(name string, ch chan struct{}, opts ...instrument.Option) (*Channel, error) {
	if cap(ch) == 0 {
		return nil, fmt.Errorf("channel %q: capacity is 0, expected a buffered channel with room for each slot", name)
	}
	s := &Channel{ch: ch}
	if err := s.permits.observe(name, s.used, s.Stats, opts); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Channel) used() int64 { return int64(len(s.ch)) }

// Acquire takes a slot. It waits until a slot is free or ctx is done. It returns nil if it took a
// slot, and otherwise ctx.Err(). If ctx is already done, Acquire fails even if a slot is free.
// Requests and direct sends to the channel are served in order of arrival.
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

// TryAcquire takes a slot if one is free, and reports whether it took one.
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

// try takes a slot if one is free. Caller must hold the lock of s.permits.
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

// Release returns a slot. If no slot is taken it waits until one is, like a receive from the
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

// held returns the number of slots that were taken by the methods and are not known to have been
// returned. Caller must hold the lock of permits.
func (s *Channel) held() int64 {
	return s.permits.Requests.Ended(instrument.Acquired) - s.permits.released
}

// countDirectReceives counts the slots that were taken by the methods and returned by a direct
// receive: if more slots are held than used, the difference must have been returned that way,
// except for those that calls to Release are returning. Caller must hold the lock of permits.
func (s *Channel) countDirectReceives() {
	s.permits.released += max(0, s.held()-s.used()-s.releasing)
}

// Stats returns the channel's current state and the counts so far. A request that a release has
// just served, but whose goroutine is not running yet, has a slot but still counts as pending.
func (s *Channel) Stats() instrument.Stats {
	s.permits.Lock()
	defer s.permits.Unlock()
	s.countDirectReceives()
	return s.permits.stats(int64(cap(s.ch)))
}

// Close stops reporting the channel. It does not close the channel; the methods keep working.
func (s *Channel) Close() { s.permits.close() }
