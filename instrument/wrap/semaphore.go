package wrap

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/instrument"
)

// Semaphore is an instrumented [semaphore.Weighted], and has the same methods.
type Semaphore struct {
	size    int64
	inner   *semaphore.Weighted
	permits permits
	held    int64 // number of permits held; guarded by the lock of permits
}

// NewSemaphore is like [semaphore.NewWeighted], but the semaphore is reported under name.
// NewSemaphore panics if n is negative, as NewWeighted does. The semaphore is reported as a pool of
// the kind semaphore, with
//
//   - the limit and the number of permits used,
//   - how many requests are waiting, how long the oldest has waited, and how long each waited,
//   - the outcomes of requests,
//   - the slot-seconds used. How long each permit is held is unknown, because Release does not say
//     which permits it returns.
//
// A request for more than n permits waits until its context is done, as in x/sync, and counts as
// pending until then.
//
// Programs that need not keep x/sync can use pools.NewSemaphore instead, which is faster and can be
// resized.
func NewSemaphore(name string, n int64, opts ...instrument.Option) (*Semaphore, error) {
	s := &Semaphore{size: n, inner: semaphore.NewWeighted(n)}
	if err := s.permits.observe(name, s.used, s.Stats, opts); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Semaphore) used() int64 { return s.held }

// Acquire is like [semaphore.Weighted.Acquire].
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	if n < 0 {
		return s.inner.Acquire(ctx, n) // panics
	}
	done := ctx.Done()
	p := &s.permits
	p.Lock()
	// Check with the lock held, as in x/sync: a request whose context was done before permits were
	// released must fail.
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

// TryAcquire is like [semaphore.Weighted.TryAcquire].
func (s *Semaphore) TryAcquire(n int64) bool {
	if n < 0 {
		return s.inner.TryAcquire(n) // panics
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

// Release is like [semaphore.Weighted.Release].
func (s *Semaphore) Release(n int64) {
	if n < 0 {
		s.inner.Release(n) // panics
	}
	p := &s.permits
	p.Lock()
	defer p.Unlock() // Release panics if more permits are released than held
	p.gave(s.held)
	s.held -= n
	s.inner.Release(n)
}

// Stats returns a consistent snapshot of the semaphore. A request that Release has just served, but
// whose goroutine is not running yet, still counts as pending.
func (s *Semaphore) Stats() instrument.Stats {
	s.permits.Lock()
	defer s.permits.Unlock()
	return s.permits.stats(s.size)
}

// Close stops reporting the semaphore, which keeps working.
func (s *Semaphore) Close() { s.permits.close() }
