package pools

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// MaxPermits is the maximum size of a [Semaphore]: 8 TiB if permits are bytes.
const MaxPermits = 1<<43 - 1

// SemaphoreConfig configures a [Semaphore]. The zero value is a good default.
type SemaphoreConfig struct {
	// MaxPending is the maximum number of waiting requests. If that many are waiting, Acquire fails
	// with [ErrFull]. Zero means no bound.
	MaxPending int
}

// Semaphore is a weighted semaphore: it has a number of permits, and a request may take several. It
// is a drop-in replacement for [golang.org/x/sync/semaphore.Weighted]: requests are served in the
// order in which they arrive, so a large request at the front holds back all requests behind it,
// and a request whose context is done fails even if permits are free. In addition, a Semaphore can
// be resized, closed and observed. It is safe for concurrent use.
//
// # Telemetry
//
// Slots are permits, so Usage, Limit and UseTime are in permits. Requests, Pending and the waits
// count calls to Acquire and TryAcquire; Completed counts calls to Release. If every request is for
// one permit, acquired minus completed is the number of permits used.
//
// A wait ends when Release hands over the permits; from then on the permits count as used, even if
// the waiter is not running yet. If the waiter's context ends before the waiter runs, the request
// returns the permits, fails, and counts as acquired and completed. Use is absent, because Release
// does not say whose permits it returns. UseTime is the number of permits used, integrated over
// time.
//
// A Semaphore that is used in a bubble of testing/synctest must be created in the same bubble.
type Semaphore struct {
	// word lets calls take and return permits without the lock, with a single compare-and-swap. Its
	// high bits hold the number of free permits, and its low bits two counts of credits. An Acquire
	// spends a credit of the first kind, a Release one of the second, so the credits spent count
	// the calls. Unlocking mu lends credits if no request waits and the meter does not need each
	// event. A call that finds no credit locks mu and takes all credits back; after that only the
	// holder of mu changes the number of free permits.
	word     atomic.Int64
	size     atomic.Int64 // written with mu held
	closed   atomic.Bool  // written with mu held
	full     atomic.Bool  // no permit is free and no credit is lent; written with mu held
	rejected atomic.Int64 // number of requests rejected without the lock since the last Stats

	mu       sync.Mutex // guards the fields up to meter, and limitChanges; use lock and unlock
	credits  int64      // number of credits lent, of each kind; while any are lent, word holds the free permits
	free     int64      // number of permits not used; negative after the size was lowered
	queue    waitQueue[int64, bool]
	tooBig   waitQueue[int64, bool] // requests for more permits than size
	arrived  uint64
	released int64 // number of calls to Release
	heldBack heldBack
	requests measure.Requests
	meter    measure.Meter

	// a waiter asks for a number of permits; the answer is false if the semaphore was closed
	waiters waiters[int64, bool]
	queued  func() // if not nil, called without holding mu for each request that has started to wait
	config  SemaphoreConfig
	name    string
	reg     *instrument.Registration

	limitChanges int64 // guarded by mu
}

const (
	semBits     = 10          // width of each count of credits
	semShift    = 2 * semBits // position of the free permits in word
	semMax      = 1<<semBits - 1
	semAcquires = semMax            // all credits for Acquire
	semReleases = semMax << semBits // all credits for Release
	semCredits  = semAcquires | semReleases
)

// NewSemaphore returns a semaphore of n permits that is reported under name. n must be from 0 to
// [MaxPermits]. Close the semaphore after use.
func NewSemaphore(name string, n int64, cfg SemaphoreConfig, opts ...instrument.Option) (*Semaphore, error) {
	s := &Semaphore{name: name, free: n, config: cfg}
	if err := s.checkSize(n); err != nil {
		return nil, err
	}
	if cfg.MaxPending < 0 {
		return nil, s.error(fmt.Errorf("MaxPending is %d, expected 0 (no bound) or more", cfg.MaxPending))
	}
	s.size.Store(n)
	s.meter.Init(instrument.TimingOf(opts...), (*semLocker)(s), s.used)
	s.mu.Lock()
	s.unlock() // lends credits if telemetry is off
	var err error
	s.reg, err = instrument.Observe(name, "semaphore", s.Stats, opts...)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Semaphore) checkSize(n int64) error {
	if n < 0 || n > MaxPermits {
		return s.error(fmt.Errorf("size is %d permits, expected 0 to %d", n, int64(MaxPermits)))
	}
	return nil
}

func (s *Semaphore) error(err error) error {
	return &poolError{"semaphore", s.name, err}
}

// Acquire takes n permits. It waits until they are free or ctx is done. It returns nil if it took
// the permits, and otherwise ctx.Err() or an error that wraps [ErrClosed] or [ErrFull]. If ctx is
// already done, Acquire fails even if permits are free. It panics if n is negative.
//
// A request for more permits than the size waits until ctx is done, as in x/sync, without holding
// back other requests. If Resize raises the size enough, the request takes the place in the queue
// that corresponds to its arrival.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	// Only a call with a credit avoids the lock; all other calls use acquireWithLock. unlock lends
	// credits in overload or with telemetry off. See decision 0011.
	done := ctx.Done()
	for {
		w := s.word.Load()
		if w&semAcquires == 0 || uint64(n) > uint64(w>>semShift) || isDone(done) {
			return s.acquireWithLock(ctx, n)
		}
		if s.word.CompareAndSwap(w, w-n<<semShift-1) {
			return nil
		}
	}
}

// TryAcquire takes n permits if they are free and no request is waiting, and reports whether it
// took them. It never waits, and returns false once the semaphore is closed. It panics if n is
// negative.
func (s *Semaphore) TryAcquire(n int64) bool {
	for {
		w := s.word.Load()
		switch {
		case w&semAcquires == 0 && n > 0 && s.full.Load():
			s.rejected.Add(1)
			return false
		case w&semAcquires == 0 || n < 0:
			return s.tryAcquireWithLock(n)
		case n > w>>semShift:
			s.rejected.Add(1)
			return false
		case s.word.CompareAndSwap(w, w-n<<semShift-1):
			return true
		}
	}
}

// Release returns n permits. It panics if n is negative or greater than the number of permits held.
// Any goroutine may call Release, not only the one that called Acquire, even after Close.
func (s *Semaphore) Release(n int64) {
	for {
		w := s.word.Load()
		if w&semReleases == 0 || uint64(n) > uint64(s.size.Load()-w>>semShift) {
			s.releaseWithLock(n)
			return
		}
		if s.word.CompareAndSwap(w, w+n<<semShift-1<<semBits) {
			return
		}
	}
}

func (s *Semaphore) acquireWithLock(ctx context.Context, n int64) error {
	s.mustNotBeNegative(n)
	s.lock()
	// Checked with the lock held, as in x/sync: a request whose context was done before permits
	// were released fails.
	if isDone(ctx.Done()) {
		s.requests.Add(instrument.GaveUp(ctx.Err()), 1)
		s.unlock()
		return ctx.Err()
	}
	if s.fits(n) {
		s.take(n)
		s.unlock()
		return nil
	}
	if err := s.refusal(); err != nil {
		s.unlock()
		return err
	}
	w := s.enqueue(n)
	s.unlock()
	if s.queued != nil {
		s.queued()
	}
	return s.wait(ctx, w)
}

func (s *Semaphore) tryAcquireWithLock(n int64) bool {
	s.mustNotBeNegative(n)
	s.lock()
	defer s.unlock()
	switch {
	case s.fits(n):
		s.take(n)
		return true
	case s.closed.Load():
		s.requests.Add(instrument.WasClosed, 1)
	default:
		s.requests.Add(instrument.Rejected, 1)
	}
	return false
}

func (s *Semaphore) releaseWithLock(n int64) {
	s.mustNotBeNegative(n)
	s.lock()
	if n > s.used() {
		s.unlock()
		panic(s.misused("released more than held"))
	}
	now := s.meter.Event(s.used())
	if s.queue.first != nil {
		s.advanceHeldBack(now)
	}
	s.released++
	s.free += n
	s.serve(now)
	s.unlock()
}

// take grants a new request n permits. Caller must hold mu.
func (s *Semaphore) take(n int64) {
	s.meter.Event(s.used())
	s.requests.Add(instrument.Acquired, 1)
	s.free -= n
}

// fits reports whether a new request for n permits can be served. Caller must hold mu.
func (s *Semaphore) fits(n int64) bool {
	return n <= s.free && s.queue.first == nil && !s.closed.Load()
}

// used returns the number of permits used. Caller must hold mu.
func (s *Semaphore) used() int64 { return s.size.Load() - s.free }

// lock locks mu and takes back all credits, after which only the holder of mu changes word.
func (s *Semaphore) lock() {
	s.mu.Lock()
	if s.credits > 0 {
		s.takeBack()
	}
}

// takeBack takes back all unspent credits, and counts the calls that spent credits. Caller must
// hold mu.
func (s *Semaphore) takeBack() {
	w := s.word.And(^semCredits)
	acquired, released := s.credits-w&semMax, s.credits-w>>semBits&semMax
	s.credits, s.free = 0, w>>semShift
	s.requests.Add(instrument.Acquired, acquired)
	s.released += released
	s.meter.Events(acquired + released)
}

// unlock unlocks mu. It first lends credits if no request waits, no more permits are used than the
// size allows, and the meter does not need each event.
func (s *Semaphore) unlock() {
	credits := min(s.meter.Blind()/2, semMax)
	lends := credits > 0 && s.queue.first == nil && s.free >= 0 && !s.closed.Load()
	if full := !lends && s.free <= 0 && !s.closed.Load(); full != s.full.Load() {
		s.full.Store(full)
	}
	if lends {
		s.credits = credits
		s.word.Store(s.free<<semShift | credits<<semBits | credits)
	}
	s.mu.Unlock()
}

// semLocker is the lock that a Semaphore passes to its meter.
type semLocker Semaphore

// Lock implements sync.Locker.
func (l *semLocker) Lock() { (*Semaphore)(l).lock() }

// Unlock implements sync.Locker.
func (l *semLocker) Unlock() { (*Semaphore)(l).unlock() }

func (s *Semaphore) mustNotBeNegative(n int64) {
	if n < 0 {
		panic(s.misused("n < 0"))
	}
}

// misused returns the panic message of x/sync, which a program's tests may match, followed by the
// semaphore's name.
func (s *Semaphore) misused(how string) string {
	return fmt.Sprintf("semaphore: %s (%q)", how, s.name)
}

// isDone reports whether done is closed. It returns false if done is nil.
func isDone(done <-chan struct{}) bool {
	if done == nil {
		return false
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}
