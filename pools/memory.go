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
	// Share is the fraction of the available memory that tasks may use, above 0 and up to 1. Zero
	// means 0.8. The rest is for allocations outside the budget.
	Share float64
	// Max is the maximum number of bytes that all tasks together may hold. Zero means no such
	// bound.
	Max int64
	// Available returns how many bytes the process can still allocate, and whether that is known.
	// If it is nil, the budget uses the memory limits of the process's cgroups and GOMEMLIMIT.
	// Calls are never concurrent, and happen at most twice per Every.
	Available func() (bytes int64, ok bool)
	// Every is the interval between calls to Available while the budget is in use. Zero means 100
	// ms.
	Every time.Duration
	// MaxPending is the maximum number of waiting requests. If that many are waiting, Acquire fails
	// with [ErrFull]. Zero means no bound.
	MaxPending int
}

// MemoryBudget is a [Semaphore] of bytes. A task acquires the bytes that it is going to allocate
// and releases them when it is done, so that concurrent tasks do not exceed the available memory.
// The limit follows the available memory:
//
//	Share × min(largest amount available since the budget was last idle, available now + held now)
//
// The budget is idle while nothing is held. The first term allows for memory that was acquired but
// perhaps not allocated yet, and rises when the container's limit is raised. The second term falls
// when the rest of the process, or of the pod, needs more memory. The limit is never less than the
// size of the largest task or greater than Max. When the limit falls, tasks keep the bytes that
// they hold, and no request is served until enough bytes have been released. While bytes are held
// or requests wait, a timer reads the available memory once per Every. If the available memory
// becomes unknown, the limit stays unchanged.
//
// Set GOMEMLIMIT to about 90% of the container's limit. The runtime then collects garbage before
// the limit is reached, and the budget counts garbage as available. Without GOMEMLIMIT, uncollected
// garbage makes the budget smaller.
//
// A MemoryBudget reports the same telemetry as a Semaphore; a slot is a byte.
type MemoryBudget struct {
	permits     *Semaphore
	largestTask int64
	cfg         MemoryConfig
	following   atomic.Bool // whether the timer is set; written with mu held

	// guards everything below; held while the available memory is read and the limit is set
	mu           sync.Mutex
	maxAvailable int64 // largest amount of memory available since the budget was last idle
	timer        *time.Timer
	closed       bool
}

// ErrNoMemoryLimit is wrapped by the error that [NewMemoryBudget] returns if the available memory
// is unknown and Max is 0.
var ErrNoMemoryLimit = errors.New("neither a cgroup nor GOMEMLIMIT bounds the memory: set MemoryConfig.Max")

// ErrTooLarge is wrapped by the error of a request that exceeds the maximum size of the pool.
var ErrTooLarge = errors.New("the request exceeds the maximum size of the pool")

// NewMemoryBudget returns a budget that is reported under name. largestTask is the number of bytes
// that the largest task needs; the limit never falls below it. If the available memory is unknown,
// the limit is Max, which must be set in that case. Close the budget after use.
func NewMemoryBudget(
	name string, largestTask int64, cfg MemoryConfig, opts ...instrument.Option,
) (*MemoryBudget, error) {
	b := &MemoryBudget{largestTask: largestTask, cfg: cfg.withDefaults(), maxAvailable: math.MaxInt64}
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
	if b.maxAvailable == math.MaxInt64 && cfg.Max == 0 {
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
	case b.largestTask <= 0:
		return fmt.Errorf("largestTask is %d bytes, expected a positive number", b.largestTask)
	case b.cfg.Max < b.largestTask:
		return fmt.Errorf("MemoryConfig.Max is %d bytes, expected at least %d (largestTask)", b.cfg.Max, b.largestTask)
	case b.cfg.Share < 0 || b.cfg.Share > 1:
		return fmt.Errorf("MemoryConfig.Share is %v, expected a value above 0 and at most 1", b.cfg.Share)
	case b.cfg.Every < 0:
		return fmt.Errorf("MemoryConfig.Every is %v, expected a positive duration", b.cfg.Every)
	}
	return nil
}

// Acquire takes the given number of bytes from the budget. It waits until they are free or ctx is
// done, as [Semaphore.Acquire] does. A request for more bytes than the limit waits until the limit
// is large enough; a request for more than Max fails with [ErrTooLarge].
func (b *MemoryBudget) Acquire(ctx context.Context, bytes int64) error {
	if bytes > b.cfg.Max {
		return b.refuse(bytes)
	}
	if !b.following.Load() {
		b.keepFollowing()
	}
	return b.permits.Acquire(ctx, bytes)
}

// TryAcquire takes the given number of bytes from the budget if they are free and no request is
// waiting, as [Semaphore.TryAcquire] does.
func (b *MemoryBudget) TryAcquire(bytes int64) bool {
	if !b.following.Load() {
		b.keepFollowing()
	}
	return b.permits.TryAcquire(bytes)
}

// Release returns bytes to the budget, as [Semaphore.Release] does.
func (b *MemoryBudget) Release(bytes int64) { b.permits.Release(bytes) }

// Size returns the current limit in bytes.
func (b *MemoryBudget) Size() int64 { return b.permits.Size() }

// Available returns the number of free bytes, which is negative while more bytes are held than the
// limit allows.
func (b *MemoryBudget) Available() int64 { return b.permits.Available() }

// Waiting returns the number of waiting requests.
func (b *MemoryBudget) Waiting() int { return b.permits.Waiting() }

// Stats returns a consistent snapshot of the budget. A slot is a byte.
func (b *MemoryBudget) Stats() instrument.Stats { return b.permits.Stats() }

// Close makes all waiting and later requests fail with [ErrClosed], and stops reporting the budget.
// Bytes that are still held can be released later. Further calls to Close have no effect.
func (b *MemoryBudget) Close() {
	b.mu.Lock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.mu.Unlock()
	b.permits.Close()
}

// refuse counts a request for more than Max bytes as rejected, and returns the error for it.
func (b *MemoryBudget) refuse(bytes int64) error {
	b.permits.rejected.Add(1)
	return &poolError{
		"memory budget",
		b.permits.name,
		fmt.Errorf("acquire %d bytes, expected at most %d (MemoryConfig.Max): %w", bytes, b.cfg.Max, ErrTooLarge),
	}
}

// keepFollowing starts the timer unless it is running. For a waiting request, it is called after
// the request has been queued, so that either keepFollowing finds the timer stopped, or tick finds
// the request waiting.
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

// tick is called when the timer fires. It sets the timer again if bytes are held or requests are
// waiting. While nothing is held, there is no Release to serve a waiting request; only tick can, by
// raising the limit.
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

// follow reads the available memory and sets the limit. Caller must hold mu, or be the only user of
// b.
func (b *MemoryBudget) follow() {
	available, ok := b.cfg.Available()
	if !ok {
		return
	}
	held := b.permits.held()
	if held == 0 || b.maxAvailable < available { // if nothing were held, at least as much would be available
		b.maxAvailable = available
	}
	if available < math.MaxInt64-held {
		available += held
	} else {
		available = math.MaxInt64
	}
	limit := min(b.cfg.Share*float64(min(b.maxAvailable, available)), float64(b.cfg.Max))
	b.permits.setSize(max(int64(limit), b.largestTask))
}
