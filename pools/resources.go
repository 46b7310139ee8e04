package pools

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/callsite"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// ResourcesConfig configures a pool of resources. With the zero value, resources are created on
// demand, kept until the pool is closed, and have no destructor.
type ResourcesConfig[T any] struct {
	// Destroy closes a resource that leaves the pool. It runs in its own goroutine, and the
	// resource counts against the limit until Destroy returns. A panic in Destroy is reported to
	// [go.opentelemetry.io/otel.Handle].
	Destroy func(value T)
	// Check returns an error if value must not be used. It is called before Acquire returns a
	// resource that was idle for CheckAfter or longer. Its context has the values of the caller's
	// context, and is done after CheckTimeout or when the pool is closed. If Check fails or panics,
	// the resource is destroyed and another one is constructed in its place. If Check has not
	// returned one second after its context is done, the pool abandons the check: it replaces the
	// resource immediately, and destroys the old one when Check returns.
	Check func(ctx context.Context, value T) error
	// CheckAfter is the idle time after which a resource is checked before its next use. Zero means
	// 1 s; negative means that Acquire checks every idle resource before it returns it.
	CheckAfter time.Duration
	// CheckTimeout bounds the duration of a check. Zero means 5 s; negative means no limit.
	CheckTimeout time.Duration
	// MaxPending is the maximum number of waiting callers. If that many are waiting, Acquire fails
	// with [ErrFull]. Zero means no bound.
	MaxPending int
	// MinIdle is the number of idle resources to keep ready, as far as the limit allows. The pool
	// constructs them in the background; after a failure, it tries again one second later.
	MinIdle int
	// MaxIdleTime is how long a resource may be idle before it is closed. The pool keeps at least
	// MinIdle idle resources. Zero means no limit.
	MaxIdleTime time.Duration
	// MaxLifetime is the age at which a resource is closed; a resource in use is closed when it is
	// released. Each resource gets a random lifetime of 90% to 100% of MaxLifetime, so that
	// resources created together do not expire together. Zero means no limit.
	MaxLifetime time.Duration
}

func (c *ResourcesConfig[T]) check(limit int, noConstruct bool) error {
	switch {
	case noConstruct:
		return fmt.Errorf("construct is nil, expected a function")
	case limit < 1 || limit > math.MaxInt32:
		return fmt.Errorf("limit is %d, expected 1 to %d", limit, math.MaxInt32)
	case c.MinIdle < 0 || c.MinIdle > limit:
		return fmt.Errorf("MinIdle is %d, expected 0 to %d (the limit)", c.MinIdle, limit)
	case c.MaxPending < 0:
		return fmt.Errorf("MaxPending is %d, expected 0 (no bound) or more", c.MaxPending)
	case c.MaxIdleTime < 0 || c.MaxLifetime < 0:
		return fmt.Errorf("MaxIdleTime is %v and MaxLifetime is %v, expected 0 (no limit) or more",
			c.MaxIdleTime, c.MaxLifetime)
	}
	return nil
}

// Resources is a bounded pool of resources of one kind, such as connections. It creates resources
// on demand, lends each to one caller at a time, and keeps it for reuse. The semantics are the same
// as in github.com/jackc/puddle/v2. All methods may be called concurrently.
//
// Callers are served strictly in the order of their calls, and get the resource that was released
// most recently. At most limit resources exist at any time, including resources that are being
// constructed or destroyed.
//
// In the metrics, a wait is the time until a caller gets a slot, and a use begins when the resource
// is lent. Neither includes the time to construct or check a resource: the wait of a caller that
// finds room is 0, and the constructor's time is reported in Create. An Acquire whose constructor
// fails counts as acquired, and as a use that ended with an error.
//
// Acquire and Release do not allocate.
type Resources[T any] struct {
	name       string
	construct  func(context.Context) (T, error)
	cfg        ResourcesConfig[T]
	reg        *instrument.Registration
	life       context.Context // context of constructors and checks; canceled when the pool is closed
	cancelLife context.CancelFunc
	errClosed  error
	errFull    error
	drained    chan struct{} // closed when the pool is closed and has no resources left
	unmeasured bool          // telemetry is off: nothing is timed, and holders are unknown
	wake       chan struct{} // wakes the maintenance goroutine; nil if there is none
	maintained chan struct{} // closed when the maintenance goroutine has ended; nil if there is none

	// mu guards everything below, the fields of waiters, and the fields of slots except as noted
	// there. It is not held while the program's functions run. Only Stats and AcquireAllIdle
	// hold it while looping over resources; other loops release it between batches.
	//
	// Invariant: while a caller waits, no resource is idle and there is no room for another slot.
	//
	// Invariant: slots has at most limit entries, unless the limit was lowered: surplus slots stay
	// until their resources are released and destroyed.
	mu        sync.Mutex
	idle      resIdleList[T]
	waiting   waitQueue[callsite.Site, Lease[T]] // waiting callers, each with its line of code
	waiters   waiters[callsite.Site, Lease[T]]
	meter     measure.Meter
	requests  measure.Requests
	uses      measure.Uses
	closed    bool
	empty     bool // drained is closed
	epoch     int  // incremented when all resources are invalidated
	limit     int
	slots     []*resSlot[T]
	preparing int // number of slots being constructed or checked
	wanted    int // number of slots being constructed or checked for a waiting caller
	closing   int // number of slots being destroyed
	hung      int // number of resources whose check was abandoned; they have no slot

	limitChanges int64

	retryAt time.Duration // earliest time to construct a resource for MinIdle
	sweepAt time.Duration // time of the next sweep
	resLedger
}

// NewResources returns a pool that is reported under name. It has at most limit resources, created
// by construct.
//
// The context of construct has the values of the context passed to [Resources.Acquire], but is
// canceled only when the pool is closed. If the caller gives up, the pool keeps the resource, so
// the pool fills up even if construct takes longer than callers wait. Since the caller's deadline
// does not bound construct, construct should have its own time limit. If construct panics or calls
// [runtime.Goexit], Acquire returns an error that says so.
//
// NewResources returns an error if name is empty or in use, limit is less than 1 or greater than
// [math.MaxInt32], construct is nil, or cfg is invalid. Close the pool when it is no longer needed.
// The pool runs one goroutine for maintenance if cfg sets MinIdle, MaxIdleTime or MaxLifetime, one
// for each resource that is being constructed or destroyed, and two for each that is being checked.
func NewResources[T any](name string, limit int, construct func(context.Context) (T, error),
	cfg ResourcesConfig[T], opts ...instrument.Option,
) (*Resources[T], error) {
	p := &Resources[T]{
		name: name, construct: construct, cfg: cfg, limit: limit,
		drained: make(chan struct{}),
	}
	p.retryAt = measure.Clock()
	p.sweepAt = p.retryAt
	if err := cfg.check(limit, construct == nil); err != nil {
		return nil, p.error(err)
	}
	if cfg.CheckAfter == 0 {
		p.cfg.CheckAfter = time.Second
	}
	if cfg.CheckTimeout == 0 {
		p.cfg.CheckTimeout = 5 * time.Second
	}
	p.errClosed, p.errFull = p.error(ErrClosed), p.error(ErrFull)
	timing := instrument.TimingOf(opts...)
	p.unmeasured = timing.Off
	p.meter.Init(timing, &p.mu, p.uses.InUse)
	p.life, p.cancelLife = context.WithCancel(context.Background())
	reg, err := instrument.Observe(name, "resource", p.Stats, opts...)
	if err != nil {
		return nil, p.error(err)
	}
	p.reg = reg
	if cfg.MinIdle > 0 || cfg.MaxIdleTime > 0 || cfg.MaxLifetime > 0 {
		p.wake, p.maintained = make(chan struct{}, 1), make(chan struct{})
		go p.maintain()
	}
	return p, nil
}

// Resize changes the maximum number of resources. If there are more resources than the new limit,
// the surplus is destroyed: idle resources immediately, longest idle first, and others when they
// are released. Resize returns an error if limit is less than 1 or greater than [math.MaxInt32], or
// if the pool is closed.
func (p *Resources[T]) Resize(limit int) error {
	if limit < 1 || limit > math.MaxInt32 {
		return p.error(fmt.Errorf("resize to %d resources, expected 1 to %d", limit, math.MaxInt32))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.errClosed
	}
	if limit != p.limit {
		p.limitChanges++
	}
	p.limit = limit
	for p.surplus() > 0 && p.idle.last != nil {
		var batch resBatch[T]
		for !batch.full() && p.surplus() > 0 && p.idle.last != nil {
			batch.add(p.discard(p.idle.last, resShrink))
		}
		p.destroyBatch(&batch)
	}
	p.serveWaiters()
	return nil
}

// Reset destroys all resources: idle ones immediately, those being checked when the check ends, and
// those in use when they are released. A resource that is being constructed is destroyed too, after
// the caller that waits for it, if any, has released it. The pool stays open. Call Reset after an
// event that invalidates all resources, such as a network failure.
func (p *Resources[T]) Reset() {
	p.mu.Lock()
	idle := p.invalidateAll(resReset)
	p.mu.Unlock()
	p.destroyAll(idle)
}

// Close closes the pool: waiting and later calls fail with [ErrClosed], and all resources are
// destroyed, those in use when they are released. Close cancels the contexts of constructors and
// checks, and waits for them to return and for all leases to end. When it returns, all resources
// are destroyed, all of the pool's goroutines have ended, and the pool is no longer reported.
// Further calls to Close wait as well.
func (p *Resources[T]) Close() {
	p.stop()
	<-p.drained
	p.finish()
}

// Shutdown is like [Resources.Close], but stops waiting when ctx is done. It then returns an error
// that wraps ctx.Err() and says how many resources remain. In that case the pool is closed but
// still reported; call Close or Shutdown again to keep waiting.
func (p *Resources[T]) Shutdown(ctx context.Context) error {
	p.stop()
	select {
	case <-p.drained:
		p.finish()
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.error(fmt.Errorf(
		"shutdown: still %d in use, %d being constructed or checked, %d being destroyed: %w",
		p.uses.InUse(), p.preparing, p.closing+p.hung, ctx.Err()))
}

// stop makes waiting and later calls fail, and starts destroying the resources that are not in use.
func (p *Resources[T]) stop() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.cancelLife()
	p.rejectWaiters()
	idle := p.invalidateAll(resPoolClosed)
	p.serveWaiters()
	p.mu.Unlock()
	p.destroyAll(idle)
}

// finish waits until the maintenance goroutine of a drained pool has ended, and stops reporting the
// pool.
func (p *Resources[T]) finish() {
	if p.maintained != nil {
		<-p.maintained
	}
	p.mu.Lock()
	p.meter.Close()
	p.mu.Unlock()
	p.reg.Close()
}

func (p *Resources[T]) error(err error) error {
	return &poolError{"resources", p.name, err}
}
