package pools

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/coarse"
	"github.com/poolgauge/poolgauge/internal/slottime"
	"github.com/poolgauge/poolgauge/internal/waittime"
)

// MaxPermits is the largest size of a [Semaphore]: in bytes, the address space of a 64-bit machine.
const MaxPermits = 1<<47 - 1

// Semaphore bounds the use of something to a number of permits, of which a request may take several. It has the methods and the
// semantics of [golang.org/x/sync/semaphore.Weighted]: requests are served strictly in the order in which they came, so a large
// one at the front holds back all behind it until it is served; a context that is done wins over permits that are free. On top
// of that it can be resized, closed, and watched. It is safe for use by any number of goroutines.
//
// # Telemetry
//
// Its slots are the permits, so Usage, Limit and UseTime add up weights; Requests, Completed, Pending and the waits count calls.
// Completed counts the calls of Release. So acquired less completed is what is used where every request is for one permit, and
// is the number of requests that hold permits wherever each is given back by one Release. Permits on their way to a waiter that
// has not run yet are neither used nor free, and it still waits.
//
// Release does not say which permits come back, so how long each was held cannot be known, and Use is absent. UseTime is: permits
// used, integrated over time. It is exact while there are less than 100,000 calls a second, and with [instrument.WithExactTiming].
// When there are more it is sampled: then a timer looks at about 100 random instants a second how many permits are used. That is
// right in the mean, and for a semaphore half used over 10 s within 3 %. UseTime over Completed is the mean time that a use held
// its permits, times their number.
//
// A request that has to wait is timed exactly, as long as fewer than 100,000 in a second have to. Of more a sample is, which stands for
// the others, and those that wait for longer than 20 ms or in vain are timed to 5 ms. A request that does not wait reads no clock and counts as 0.
//
// # Cost
//
// A request that need not wait takes one compare-and-swap, as does a Release. While calls are timed, which takes at most 1 % of
// the time, each takes some 60 ns more. A request that waits allocates nothing once there were as many waiting before. A Semaphore
// takes 4 KiB. It starts no goroutine; the timer runs only while there are so many calls.
//
// As with all that holds channels and timers, a Semaphore used in a bubble of testing/synctest has to be made in it.
type Semaphore struct {
	// word is what a fast call changes, by one compare-and-swap: the permits that are free, above two bytes of credits. A fast
	// Acquire spends one credit of the first, a fast Release one of the second, so that the credits spent count the calls.
	// Who has no credit takes mu. Whoever holds mu takes all credits back, and from then on nobody else changes the word; when
	// he lets go he lends new ones, unless there are waiters to serve or calls are to be timed.
	word atomic.Int64
	// size and closed are changed only by who holds mu.
	size   atomic.Int64
	closed atomic.Bool
	_      [44]byte // calls that fail must not slow down those that succeed

	rejected atomic.Int64
	// woken are the waiters that run with their permits and are to be counted by who takes mu next: that saves them taking it.
	woken atomic.Pointer[semWaiter]
	_     [48]byte

	mu      lineLock   // guards what follows
	free    int64      // permits nobody holds, below 0 while the semaphore shrinks; the word has it while mu is not held
	handed  int64      // permits on their way to a waiter that has not run yet
	queue   semList    // waiters in the order of arrival
	tooBig  semList    // waiters that ask for more than size, likewise
	spare   *semWaiter // for reuse
	pending int64      // waiters, those included that are woken and have not run yet
	arrived uint64     // numbers the waiters

	lent  [2]int64 // credits, by semCall
	calls [2]int64 // that succeeded, by semCall
	time  slottime.Meter
	ended [5]int64 // requests that did not succeed, by instrument.Outcome
	clock coarse.Clock
	waits waittime.Meter

	name string
	reg  *instrument.Registration
}

// semCall is one of the two calls that change what is used.
type semCall uint8

const (
	semAcquire semCall = iota
	semRelease
)

const (
	semShift   = 16 // of the free permits in the word
	semCredits = 1<<semShift - 1
	semMost    = 1<<8 - 1 // credits of one kind

	// semYields is how often a request lets others run before it queues up, if no one waits yet. Who is preempted while he holds
	// a permit gives it back meanwhile. Otherwise one queue would form and never end: as long as one waits every call has to
	// queue behind him and sleep.
	semYields = 8

	// semTick is the tick of the clock by which waits are timed when there are too many to read the real one.
	semTick = 10 * time.Millisecond
)

// NewSemaphore returns a semaphore of n permits, 0 to [MaxPermits], which is reported under name. Close it after use.
func NewSemaphore(name string, n int64, opts ...instrument.Option) (*Semaphore, error) {
	s := &Semaphore{name: name, free: n}
	if err := s.checkSize(n); err != nil {
		return nil, err
	}
	sampler := instrument.NewSampler(opts...)
	s.time.Start(&sampler, s.look)
	s.clock.Init(&s.mu, semTick)
	s.waits.Init(sampler, &s.clock)
	s.size.Store(n)
	s.mu.Lock()
	s.unlock()
	var err error
	if s.reg, err = instrument.Observe(name, "semaphore", s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Semaphore) checkSize(n int64) error {
	if n < 0 || n > MaxPermits {
		return fmt.Errorf("semaphore %q: %d permits: want 0 to %d", s.name, n, int64(MaxPermits))
	}
	return nil
}

// Acquire takes n permits, and waits until they are free or ctx is done. It returns nil, the error of ctx, or an error that wraps
// [ErrClosed]; only if it is nil are permits taken. If ctx is done already, Acquire fails even if permits are free. It panics if n
// is negative.
//
// A request for more than the size waits until ctx is done, as in x/sync, without holding back others; unless a Resize makes it
// possible: then it takes the place in the queue that it would have had.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	s.mustNotBeNegative(n)
	done := ctx.Done()
	if isDone(done) {
		return s.refuse(ctx.Err())
	}
	for {
		w := s.word.Load()
		if w&semMost == 0 || w>>semShift < n {
			return s.acquireSlow(ctx, n)
		}
		if s.word.CompareAndSwap(w, w-n<<semShift-1) {
			return nil
		}
	}
}

// TryAcquire takes n permits if they are free and nobody waits for permits, and reports whether it did. It panics if n is
// negative. It never waits; a closed semaphore has no permits.
func (s *Semaphore) TryAcquire(n int64) bool {
	s.mustNotBeNegative(n)
	for {
		w := s.word.Load()
		if w>>semShift < n && !s.closed.Load() {
			s.rejected.Add(1)
			return false
		}
		if w&semMost == 0 {
			return s.tryAcquireSlow(n)
		}
		if s.word.CompareAndSwap(w, w-n<<semShift-1) {
			return true
		}
	}
}

// Release gives back n permits. It panics if n is negative, or more than all that are held. It may be called by another
// goroutine than Acquire, and when the semaphore is closed.
func (s *Semaphore) Release(n int64) {
	s.mustNotBeNegative(n)
	for {
		w := s.word.Load()
		if w&(semMost<<8) == 0 || n > s.size.Load()-w>>semShift {
			s.releaseSlow(n)
			return
		}
		if s.word.CompareAndSwap(w, w+n<<semShift-1<<8) {
			return
		}
	}
}

// Resize changes the number of permits to n, 0 to [MaxPermits]. A growing semaphore serves its waiters in order. A shrinking one
// takes nothing away: until enough permits have come back more are used than there may be, and nobody gets any.
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
	grown := n - s.size.Load()
	if grown == 0 {
		return
	}
	s.free += grown
	s.size.Store(n)
	s.sortWaiters()
	s.serve()
}

// held returns the permits that are taken, those on their way to a waiter included.
func (s *Semaphore) held() int64 {
	s.lock()
	defer s.unlock()
	return s.size.Load() - s.free
}

// Close lets all who wait and all who come later fail with [ErrClosed], and ends the report of the semaphore. Permits that are
// held can still be given back. Further calls do nothing.
func (s *Semaphore) Close() {
	s.lock()
	s.closed.Store(true)
	s.refuseWaiters()
	s.time.Stop()
	s.clock.Stop()
	s.unlock()
	s.reg.Close()
}

func (s *Semaphore) mustNotBeNegative(n int64) {
	if n < 0 {
		s.misused("n < 0")
	}
}

// misused panics with the words of x/sync, so that a test that looks for them still finds them, and the name.
func (s *Semaphore) misused(how string) {
	panic(fmt.Sprintf("semaphore: %s (%q)", how, s.name))
}

// lock takes mu and, with all credits, the word.
func (s *Semaphore) lock() {
	s.mu.Lock()
	w := s.word.Load()
	if w&semCredits != 0 {
		w = s.word.And(^semCredits)
	}
	s.free = w >> semShift
	for call := range s.lent {
		spent := s.lent[call] - w>>(8*call)&semMost
		s.lent[call] = 0
		s.calls[call] += spent
	}
	if s.woken.Load() != nil { // after the word: who has released was woken before
		s.countWoken()
	}
}

// unlock lends credits if nobody waits and calls are not timed, and lets go of mu.
func (s *Semaphore) unlock() {
	w := s.free << semShift
	lined := s.queue.first != nil
	s.mu.setLined(lined)
	if !lined && !s.time.Timing() && !s.closed.Load() {
		s.lent = [2]int64{semMost, semMost}
		w |= semCredits
	}
	if w != s.word.Load() {
		s.word.Store(w)
	}
	s.mu.Unlock()
}

// used returns the permits that are held. Caller must hold mu.
func (s *Semaphore) used() int64 {
	return s.size.Load() - s.free - s.handed
}

// fits reports whether a request that comes now can be served. Caller must hold mu.
func (s *Semaphore) fits(n int64) bool {
	return n <= s.free && s.queue.first == nil && !s.closed.Load()
}

func (s *Semaphore) acquireSlow(ctx context.Context, n int64) error {
	s.lock()
	if s.fits(n) {
		s.take(n)
		s.unlock()
		return nil
	}
	if s.closed.Load() {
		s.unlock()
		return s.refuse(s.errClosed())
	}
	var wait waittime.Wait
	s.waits.Begin(&wait)
	for range semYields {
		if s.queue.first != nil || n > s.size.Load() || s.closed.Load() {
			break
		}
		s.unlock()
		runtime.Gosched()
		canceled := isDone(ctx.Done())
		s.lock()
		if canceled {
			break // before anything else: permits that came after the context was done are not for it
		}
		if s.fits(n) {
			s.take(n)
			s.waits.End(&wait)
			s.waits.Add(instrument.Acquired, &wait)
			s.unlock()
			return nil
		}
	}
	return s.wait(ctx, n, &wait)
}

// take gives n permits to whoever has mu.
func (s *Semaphore) take(n int64) {
	s.change(semAcquire, s.time.NowIfTimed())
	s.free -= n
}

func (s *Semaphore) tryAcquireSlow(n int64) bool {
	s.lock()
	fits := s.fits(n)
	switch {
	case fits:
		s.take(n)
	case s.closed.Load():
		s.ended[instrument.WasClosed]++
	default:
		s.rejected.Add(1)
	}
	s.unlock()
	return fits
}

func (s *Semaphore) releaseSlow(n int64) {
	s.lock()
	if n > s.size.Load()-s.free {
		s.unlock()
		s.misused("released more than held")
	}
	s.change(semRelease, s.time.NowIfTimed())
	s.free += n
	s.serve()
	s.unlock()
}

// isDone reports whether done is closed. A nil one never is.
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
