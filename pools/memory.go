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

// MemoryConfig says how a [MemoryBudget] follows the memory that there is. The zero MemoryConfig is fine in a container.
type MemoryConfig struct {
	// Share is the part of the available memory that tasks may take, above 0 and up to 1; 0 is 0.8. The rest is for what
	// nobody asks for.
	Share float64
	// Max is what tasks may take together at most, in bytes, however much is available; 0 is no such bound.
	Max int64
	// Available returns how many bytes the process can still take, and whether that is known. nil is what its control groups
	// and GOMEMLIMIT leave. It is called by one goroutine at a time, at most once in Every.
	Available func() (bytes int64, ok bool)
	// Every is for how long what Available returned is good; 0 is 100 ms.
	Every time.Duration
}

// MemoryBudget is a [Semaphore] of bytes. A task acquires what it is going to allocate and releases as much when it is done, so
// that no batch of large tasks can take more than there is. The limit follows the memory that is available:
//
//	Share × the less of what was available when nothing was held, and what is available now plus what is held
//
// The first counts what is promised and perhaps not allocated yet. The second notices when the rest of the process, or of the pod,
// grows. The limit never falls below one task, nor rises above Max. It falls at once; tasks that hold more than the new limit keep it,
// and nobody gets any until enough has come back. What is available is looked up when somebody asks for memory and it was not for
// Every, and while somebody waits, by a timer; there is no goroutine. Where it becomes unknown the limit stays as it is.
//
// Set GOMEMLIMIT, to 90 % of the container's limit or so: then the runtime collects garbage before the limit is reached, and garbage
// counts as available. Without it garbage that is not collected yet makes the budget smaller.
//
// Its telemetry is that of the Semaphore; a slot is a byte.
type MemoryBudget struct {
	permits *Semaphore
	task    int64
	cfg     MemoryConfig
	asking  atomic.Int64 // calls of Acquire under way

	mu     sync.Mutex // guards what follows, and makes readings and the limits that follow from them one step
	read   time.Duration
	atRest int64 // available when nothing was held
	timer  *time.Timer
	timing bool // the timer is set
	closed bool
}

// ErrNoMemoryLimit is wrapped by the error of [NewMemoryBudget] where there is nothing that it could follow.
var ErrNoMemoryLimit = errors.New("neither a control group nor GOMEMLIMIT bounds the memory: set Max")

// NewMemoryBudget returns a budget, reported under name, that never falls below task, the bytes that the largest task takes. Where it
// is not known what is available, Max is the limit, and has to be given. Close the budget after use.
func NewMemoryBudget(name string, task int64, cfg MemoryConfig, opts ...instrument.Option) (*MemoryBudget, error) {
	b := &MemoryBudget{task: task, cfg: cfg.withDefaults(), atRest: math.MaxInt64}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("memory budget %q: %w", name, err)
	}
	permits, err := NewSemaphore(name, b.cfg.Max, opts...)
	if err != nil {
		return nil, err
	}
	b.permits = permits
	b.follow(instrument.Now())
	if b.atRest == math.MaxInt64 && cfg.Max == 0 {
		permits.Close()
		return nil, fmt.Errorf("memory budget %q: %w", name, ErrNoMemoryLimit)
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

// Acquire takes bytes out of the budget, and waits until they are there or ctx is done, as [Semaphore.Acquire] does. A request for
// more than one task waits until the limit is that high.
func (b *MemoryBudget) Acquire(ctx context.Context, bytes int64) error {
	b.asking.Add(1)
	defer b.asking.Add(-1)
	b.refresh(true)
	return b.permits.Acquire(ctx, bytes)
}

// TryAcquire takes bytes out of the budget if they are there and nobody waits, as [Semaphore.TryAcquire] does.
func (b *MemoryBudget) TryAcquire(bytes int64) bool {
	b.refresh(false)
	return b.permits.TryAcquire(bytes)
}

// Release gives bytes back to the budget, as [Semaphore.Release] does.
func (b *MemoryBudget) Release(bytes int64) { b.permits.Release(bytes) }

// Stats returns the state of the budget and what happened so far, at one moment. A slot is a byte.
func (b *MemoryBudget) Stats() instrument.Stats { return b.permits.Stats() }

// Close lets all who wait and all who come later fail with [ErrClosed], and ends the report of the budget. Bytes that are held can
// still be given back. Further calls do nothing.
func (b *MemoryBudget) Close() {
	b.mu.Lock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.mu.Unlock()
	b.permits.Close()
}

// refresh follows the memory if the last reading is too old. With keepOn it sees to it that the budget does so while anybody asks.
func (b *MemoryBudget) refresh(keepOn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if now := instrument.Now(); now-b.read >= b.cfg.Every {
		b.follow(now)
	}
	if keepOn && !b.timing {
		b.setTimer()
	}
}

// setTimer sets the timer. Caller must hold mu.
func (b *MemoryBudget) setTimer() {
	b.timing = true
	if b.timer == nil {
		b.timer = time.AfterFunc(b.cfg.Every, b.tick)
	} else {
		b.timer.Reset(b.cfg.Every)
	}
}

// tick is what the timer does. It goes on while anybody asks for memory: he may be waiting for what only tick can see.
func (b *MemoryBudget) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timing = false
	if b.closed || b.asking.Load() == 0 {
		return
	}
	b.follow(instrument.Now())
	b.setTimer()
}

// follow reads what is available and sets the limit. Caller must hold mu, or be the only one who knows b.
func (b *MemoryBudget) follow(now time.Duration) {
	b.read = now
	available, ok := b.cfg.Available()
	if !ok {
		return
	}
	held := b.permits.held()
	if held == 0 {
		b.atRest = available
	}
	limit := int64(b.cfg.Share * float64(min(b.atRest, available+held)))
	b.permits.setSize(min(max(limit, b.task), b.cfg.Max))
}
