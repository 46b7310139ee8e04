package wrap

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/instrument"
)

// Semaphore is a semaphore of golang.org/x/sync that is reported. It has the methods of
// [semaphore.Weighted].
type Semaphore struct {
	size    int64
	inner   *semaphore.Weighted
	permits permits
	held    int64 // permits; guarded by the lock of permits
}

// NewSemaphore returns a semaphore of n permits: [semaphore.NewWeighted], reported under a name, as
// the kind semaphore. It panics if n is negative, as that does. It reports
//
//   - the limit and how many permits are used,
//   - how many requests wait, since when, and how long each waited,
//   - how requests end,
//   - the slot-seconds used. How long each permit is held cannot be known, since Release does not
//     say which it is.
//
// A request for more permits than there are waits, as in x/sync, until its context is done; it is
// pending meanwhile.
//
// Programs that need not keep x/sync get a faster one, with a size that may change, in
// pools.NewSemaphore.
func NewSemaphore(name string, n int64, opts ...instrument.Option) (*Semaphore, error) {
	s := &Semaphore{size: n, inner: semaphore.NewWeighted(n)}
	if err := s.permits.observe(name, s.used, s.Stats, opts); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Semaphore) used() int64 { return s.held }

// Acquire is [semaphore.Weighted.Acquire].
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	if n < 0 {
		return s.inner.Acquire(ctx, n) // which panics
	}
	done := ctx.Done()
	p := &s.permits
	p.Lock()
	// Under the lock, as in x/sync: a context that was done before permits came back must win over
	// them.
	if isDone(done) {
		err := ctx.Err()
		p.Requests.Add(instrument.GaveUp(err), 1)
		p.Unlock()
		return err
	}
	if s.inner.TryAcquire(n) {
		p.took(s.held)
		s.held += n
		p.Unlock()
		return nil
	}
	waiting := p.wait()
	p.Unlock()
	err := s.inner.Acquire(ctx, n)
	p.Lock()
	waited := p.waited(waiting, s.held, err)
	if err == nil {
		s.held += n
	}
	p.Unlock()
	p.Requests.Traced(ctx, waited)
	return err
}

// TryAcquire is [semaphore.Weighted.TryAcquire].
func (s *Semaphore) TryAcquire(n int64) bool {
	if n < 0 {
		return s.inner.TryAcquire(n) // which panics
	}
	p := &s.permits
	p.Lock()
	defer p.Unlock()
	if !s.inner.TryAcquire(n) {
		p.Requests.Add(instrument.Rejected, 1)
		return false
	}
	p.took(s.held)
	s.held += n
	return true
}

// Release is [semaphore.Weighted.Release].
func (s *Semaphore) Release(n int64) {
	if n < 0 {
		s.inner.Release(n) // which panics
	}
	p := &s.permits
	p.Lock()
	defer p.Unlock() // it panics if more is released than held
	p.gave(s.held)
	s.held -= n
	s.inner.Release(n)
}

// Stats returns the state of the semaphore and what happened so far, at one moment. A request that
// Release has just served, and whose goroutine does not run yet, is still pending.
func (s *Semaphore) Stats() instrument.Stats {
	s.permits.Lock()
	defer s.permits.Unlock()
	return s.permits.stats(s.size)
}

// Close ends the report. The semaphore goes on to work.
func (s *Semaphore) Close() { s.permits.close() }
