package pools

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/headroom"
)

// MemoryConfig configures how a [MemoryBudget] follows the available memory. The zero value is a
// good default in a container.
type MemoryConfig struct {
	// Share is the part of the available memory that tasks may take, up to 1. Zero means 0.8. The
	// rest is for allocations that are not acquired.
	Share float64
	// Max is the most that tasks may hold together, in bytes. Zero means no such bound.
	Max int64
	// Available returns how many bytes the process can still allocate, and whether that is known.
	// Nil means what its control groups and GOMEMLIMIT leave. It is called by one goroutine at a
	// time, at most once in Every.
	Available func() (bytes int64, ok bool)
	// Every is how long a result of Available is used. Zero means 100 ms.
	Every time.Duration
	// MaxPending is how many requests may wait. Beyond it Acquire fails with [ErrFull]. Zero means
	// no bound.
	MaxPending int
}

// MemoryBudget is a [Semaphore] of bytes. A task acquires what it is going to allocate and releases
// it when it is done, so that concurrent tasks do not exceed the available memory. The limit
// follows the memory that is available:
//
//	Share × min(the most available since nothing was held, what is available now + what is held)
//
// The first counts what is promised and perhaps not allocated yet, and rises when the container's
// limit is raised. The second notices when the rest of the process, or of the pod, grows. The limit
// never falls below one task, nor rises above Max. It falls at once; tasks that hold more than the
// new limit keep it, and no request gets any until enough has been released. A timer looks up what
// is available, once in Every while bytes are held or requests wait. If that becomes unknown the
// limit stays as it is.
//
// Set GOMEMLIMIT, to 90 % of the container's limit or so: then the runtime collects garbage before
// the limit is reached, and garbage counts as available. Without it garbage that is not collected
// yet makes the budget smaller.
//
// Its telemetry is that of the Semaphore; a slot is a byte.
type MemoryBudget struct {
	permits   *Semaphore
	task      int64
	cfg       MemoryConfig
	following atomic.Bool // the timer is set; written with mu held

	// guards what follows, and makes readings and the limits that follow from them one step
	mu     sync.Mutex
	atRest int64 // the most available since nothing was held
	timer  *time.Timer
	closed bool
}

// ErrNoMemoryLimit is wrapped by the error of [NewMemoryBudget] where there is nothing that it
// could follow.
var ErrNoMemoryLimit = errors.New("neither a control group nor GOMEMLIMIT bounds the memory: set Max")

// ErrTooLarge is wrapped by the error of a request for more than the pool can ever have.
var ErrTooLarge = errors.New("the request is larger than the pool can be")

// NewMemoryBudget returns a budget, reported under name, that never falls below task, the bytes
// that the largest task takes. Where it is not known what is available, Max is the limit, and has
// to be given. Close the budget after use.
func NewMemoryBudget(name string, task int64, cfg MemoryConfig, opts ...instrument.Option) (*MemoryBudget, error) {
	b := &MemoryBudget{task: task, cfg: cfg.withDefaults(), atRest: math.MaxInt64}
	if err := b.check(); err != nil {
		return nil, &poolError{"memory budget", name, err}
	}
	permits, err := NewSemaphore(name, b.cfg.Max, SemaphoreConfig{MaxPending: cfg.MaxPending}, opts...)
	if err != nil {
		return nil, err
	}
	b.permits = permits
	permits.queued = b.keepFollowing
	b.follow()
	if b.atRest == math.MaxInt64 && cfg.Max == 0 {
		permits.Close()
		return nil, &poolError{"memory budget", name, ErrNoMemoryLimit}
	}
	return b, nil
}

func (c MemoryConfig) withDefaults() MemoryConfig {
	if c.Share == 0 {
		c.Share = 0.8
	}
	if c.Max == 0 || c.Max > MaxPermits {
		c.Max = MaxPermits
	}
	if c.Available == nil {
		c.Available = headroom.Available
	}
	if c.Every == 0 {
		c.Every = 100 * time.Millisecond
	}
	return c
}

func (b *MemoryBudget) check() error {
	switch {
	case b.task <= 0:
		return fmt.Errorf("a task of %d bytes: want more than 0", b.task)
	case b.cfg.Max < b.task:
		return fmt.Errorf("a Max of %d bytes: want at least one task, %d", b.cfg.Max, b.task)
	case b.cfg.Share < 0 || b.cfg.Share > 1:
		return fmt.Errorf("a Share of %v: want above 0, up to 1", b.cfg.Share)
	case b.cfg.Every < 0:
		return fmt.Errorf("an Every of %v: want above 0", b.cfg.Every)
	}
	return nil
}

// Acquire takes bytes out of the budget, and waits until they are free or ctx is done, as
// [Semaphore.Acquire] does. A request for more than one task waits until the limit is that high;
// one for more than Max fails with [ErrTooLarge].
func (b *MemoryBudget) Acquire(ctx context.Context, bytes int64) error {
	if bytes > b.cfg.Max {
		return b.refuse(bytes)
	}
	if !b.following.Load() {
		b.keepFollowing()
	}
	return b.permits.Acquire(ctx, bytes)
}

// TryAcquire takes bytes out of the budget if they are free and no request waits, as
// [Semaphore.TryAcquire] does.
func (b *MemoryBudget) TryAcquire(bytes int64) bool {
	if !b.following.Load() {
		b.keepFollowing()
	}
	return b.permits.TryAcquire(bytes)
}

// Release returns bytes to the budget, as [Semaphore.Release] does.
func (b *MemoryBudget) Release(bytes int64) { b.permits.Release(bytes) }

// Size returns the limit, in bytes, as it is now.
func (b *MemoryBudget) Size() int64 { return b.permits.Size() }

// Available returns how many bytes are free, below 0 while the limit is lower than what is held.
func (b *MemoryBudget) Available() int64 { return b.permits.Available() }

// Waiting returns the number of requests that wait.
func (b *MemoryBudget) Waiting() int { return b.permits.Waiting() }

// Stats returns a consistent snapshot of the budget. A slot is a byte.
func (b *MemoryBudget) Stats() instrument.Stats { return b.permits.Stats() }

// Close makes all waiting and all later requests fail with [ErrClosed], and ends the report of the
// budget. Bytes that are held can still be released. Further calls do nothing.
func (b *MemoryBudget) Close() {
	b.mu.Lock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.mu.Unlock()
	b.permits.Close()
}

// refuse counts a request for more than Max and returns its error.
func (b *MemoryBudget) refuse(bytes int64) error {
	b.permits.rejected.Add(1)
	return &poolError{
		"memory budget",
		b.permits.name,
		fmt.Errorf("%d bytes, want at most %d: %w", bytes, b.cfg.Max, ErrTooLarge),
	}
}

// keepFollowing follows the memory from now on, unless it does. A request that waits calls it after
// it has begun to wait, so that either it sees that the timer has stopped, or tick sees that it
// waits.
func (b *MemoryBudget) keepFollowing() {
	if b.following.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.following.Load() {
		return
	}
	b.follow()
	b.setTimer()
}

// setTimer sets the timer. Caller must hold mu.
func (b *MemoryBudget) setTimer() {
	b.following.Store(true)
	if b.timer == nil {
		b.timer = time.AfterFunc(b.cfg.Every, b.tick)
	} else {
		b.timer.Reset(b.cfg.Every)
	}
}

// tick is what the timer does. It is set again while bytes are held or a request waits for what
// only tick can see.
func (b *MemoryBudget) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.follow()
	b.following.Store(false)
	if b.permits.inUse() {
		b.setTimer()
	}
}

// follow reads what is available and sets the limit. Caller must hold mu, or be the only one that
// knows b.
func (b *MemoryBudget) follow() {
	available, ok := b.cfg.Available()
	if !ok {
		return
	}
	held := b.permits.held()
	if held == 0 || b.atRest < available { // without what is held there would be no less
		b.atRest = available
	}
	if available < math.MaxInt64-held {
		available += held
	} else {
		available = math.MaxInt64
	}
	limit := min(b.cfg.Share*float64(min(b.atRest, available)), float64(b.cfg.Max))
	b.permits.setSize(max(int64(limit), b.task))
}
