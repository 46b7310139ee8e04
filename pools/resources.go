package pools

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/coarse"
	"github.com/poolgauge/poolgauge/internal/waittime"
)

// ResourcesConfig holds what a pool of resources may be given besides what it must have. The zero value is a pool whose
// resources are made when they are wanted, live until the pool is closed, and need nothing to be destroyed.
type ResourcesConfig[T any] struct {
	// Destroy ends a resource that the pool closes. It runs in a goroutine of its own, and the resource counts against the
	// limit until it returns. A panic is reported to [go.opentelemetry.io/otel.Handle].
	Destroy func(value T)
	// Check says whether a resource that was idle for CheckAfter or longer may still be used. It runs before Acquire returns,
	// with a context like that of the constructor. If it fails or panics, the resource is destroyed and another one
	// constructed in its place.
	Check func(ctx context.Context, value T) error
	// CheckAfter is 1 s if it is 0.
	CheckAfter time.Duration
	// MinIdle is how many resources are kept ready, as far as the limit allows. They are constructed in the background; after a
	// failure the next attempt is made a second later.
	MinIdle int
	// MaxIdleTime is how long a resource may be idle before it is closed, unless only MinIdle are left. 0 is forever.
	MaxIdleTime time.Duration
	// MaxLifetime is how long a resource may live; one in use is closed when it comes back. Each gets 90 to 100 % of it, at
	// random, so that resources made together do not end together. 0 is forever.
	MaxLifetime time.Duration
}

// Resources is a pool of at most so many resources of one kind, such as connections, which are made when they are wanted, lent
// to one caller at a time, and kept for the next. Its semantics are those of github.com/jackc/puddle/v2. All methods may be
// called at any time by many goroutines.
//
// A resource is lent to the callers in the order in which they began to wait; the one given back last is lent first. At most
// the limit exist at any moment, including those being constructed or destroyed.
//
// As telemetry, a wait is the time until a caller got its slot. Constructing is not part of it: a caller that finds room waits
// 0, and the time of its constructor is in Create. An Acquire whose constructor fails counts as acquired and as a use that ended
// with an error.
//
// Acquire and Release take about 45 ns together and do not allocate. The pool takes some 7 KiB and 180 bytes for each resource.
type Resources[T any] struct {
	name      string
	construct func(context.Context) (T, error)
	cfg       ResourcesConfig[T]
	reg       *instrument.Registration
	life      context.Context // of constructors; it ends when the pool is closed
	end       context.CancelFunc
	errClosed error
	errFull   error
	drained   chan struct{} // closed when the pool is closed and has no resource left
	nudge     chan struct{} // tells the maintenance that something has changed; nil without maintenance
	tended    chan struct{} // closed when the maintenance has ended; nil without maintenance

	// mu guards everything below, the fields of slots but for value, and those of waiters. No function of the user runs under it.
	//
	// Invariants: while somebody waits nothing is idle and there is no room for another slot; slots holds at most limit slots
	// besides those that are in use or being destroyed since the pool shrank.
	mu        resLock[T]
	idle      *resSlot[T] // last in, first out
	queue     resQueue[T]
	idles     int
	acquired  int64
	completed [4]int64
	epoch     int // grows when all resources become useless
	sampler   instrument.Sampler
	uses      instrument.Sampled
	clock     coarse.Clock
	waits     waittime.Meter
	limit     int
	closing   int // slots that are being destroyed
	closed    bool
	slots     []*resSlot[T]
	free      []*resWaiter[T]
	retryAt   time.Duration // not before then is an idle resource constructed for MinIdle
	resLedger
}

// NewResources returns a pool of at most limit resources, which it makes with construct.
//
// The context of construct has the values of the context that was given to [Resources.Acquire], but ends only when the pool is
// closed: a caller that gives up leaves the resource that it began to the pool, so that a pool gets its resources even if making
// one takes longer than any caller is willing to wait. So construct should have a time limit of its own. If it panics or calls
// [runtime.Goexit], Acquire returns an error that says so.
//
// It is an error if the name is empty or in use, limit is less than 1, construct is nil, or cfg makes no sense. Close the
// pool when it is no longer needed. It has one goroutine of its own if cfg asks for MinIdle, MaxIdleTime or MaxLifetime, and
// one for each resource while that is being constructed or destroyed.
func NewResources[T any](name string, limit int, construct func(context.Context) (T, error), cfg ResourcesConfig[T],
	opts ...instrument.Option,
) (*Resources[T], error) {
	if err := cfg.check(limit, construct == nil); err != nil {
		return nil, fmt.Errorf("resources %q: %w", name, err)
	}
	if cfg.CheckAfter == 0 {
		cfg.CheckAfter = time.Second
	}
	p := &Resources[T]{
		name: name, construct: construct, cfg: cfg, limit: limit,
		drained: make(chan struct{}), sampler: instrument.NewSampler(opts...), retryAt: instrument.Now(),
	}
	p.errClosed, p.errFull = p.error(ErrClosed), p.error(ErrFull)
	p.mu.pool = p
	p.clock.Init(&p.mu, cfg.tick())
	p.waits.Init(p.sampler, &p.clock)
	p.life, p.end = context.WithCancel(context.Background())
	reg, err := instrument.Observe(name, "resource", p.Stats, opts...)
	if err != nil {
		return nil, err
	}
	p.reg = reg
	if cfg.MinIdle > 0 || cfg.MaxIdleTime > 0 || cfg.MaxLifetime > 0 {
		p.nudge, p.tended = make(chan struct{}, 1), make(chan struct{})
		go p.maintain()
	}
	return p, nil
}

func (c ResourcesConfig[T]) check(limit int, noConstruct bool) error {
	switch {
	case noConstruct:
		return fmt.Errorf("no constructor: want a function that makes a resource")
	case limit < 1 || limit > math.MaxInt32:
		return fmt.Errorf("limit %d: want 1 to %d", limit, math.MaxInt32)
	case c.MinIdle < 0 || c.MinIdle > limit:
		return fmt.Errorf("MinIdle %d: want 0 to the limit, %d", c.MinIdle, limit)
	case min(c.CheckAfter, c.MaxIdleTime, c.MaxLifetime) < 0:
		return fmt.Errorf("CheckAfter %v, MaxIdleTime %v, MaxLifetime %v: want none below 0", c.CheckAfter, c.MaxIdleTime, c.MaxLifetime)
	}
	return nil
}

// Acquire returns a resource that is idle, or constructs one if there is room, or waits for one. If ctx ends first it returns the error of
// ctx at once; a resource that was being constructed for the call goes to the pool when it is ready. Other errors are that of
// the constructor, wrapped, and [ErrClosed].
func (p *Resources[T]) Acquire(ctx context.Context) (Lease[T], error) {
	if err := ctx.Err(); err != nil {
		p.mu.Lock()
		p.refuse(instrument.GaveUp(err))
		return Lease[T]{}, p.error(err)
	}
	p.mu.Lock()
	s := p.idle
	if s == nil || p.wantsCheck(s) {
		return p.acquireSlowly(ctx)
	}
	p.pop(s)
	p.lend(s)
	p.mu.Unlock()
	return Lease[T]{s, s.turn}, nil
}

// TryAcquire returns a resource that is idle; without one it returns [ErrFull]. If there is room, one is then constructed in the background, with a
// context that ends when ctx does. A resource that is due for its check counts as not there: it is checked in the background.
func (p *Resources[T]) TryAcquire(ctx context.Context) (Lease[T], error) {
	p.mu.Lock()
	s := p.idle
	if s != nil && !p.wantsCheck(s) {
		p.pop(s)
		p.lend(s)
		p.mu.Unlock()
		return Lease[T]{s, s.turn}, nil
	}
	if p.closed {
		p.refuse(instrument.WasClosed)
		return Lease[T]{}, p.errClosed
	}
	if s = p.reserve(); s != nil {
		p.prepareLater(ctx, s)
	}
	p.refuse(instrument.Rejected)
	return Lease[T]{}, p.errFull
}

// AcquireAllIdle returns all resources that are idle, each as if it were acquired, for keep-alives and checks. It does not
// wait and constructs nothing.
func (p *Resources[T]) AcquireAllIdle() []Lease[T] {
	p.mu.Lock()
	defer p.mu.Unlock()
	leases := make([]Lease[T], 0, p.idles)
	for s := p.idle; s != nil; s = p.idle {
		p.pop(s)
		p.lend(s)
		leases = append(leases, Lease[T]{s, s.turn})
	}
	return leases
}

// CreateResource constructs a resource and puts it into the pool. The context of the constructor ends when ctx does. Errors are
// [ErrFull], that of the constructor, wrapped, and [ErrClosed].
func (p *Resources[T]) CreateResource(ctx context.Context) error {
	p.mu.Lock()
	var err error
	var s *resSlot[T]
	switch {
	case p.closed:
		err = p.errClosed
	case !p.hasRoom():
		err = p.errFull
	default:
		s = p.add()
	}
	p.mu.Unlock()
	if s == nil {
		return err
	}
	done := make(chan error, 1)
	p.prepare(ctx, s, done)
	return <-done
}

// Resize changes how many resources there may be. When the pool shrinks, idle resources beyond the limit are destroyed at once
// and the others when they are given back. It is an error if limit is less than 1, or if the pool is closed.
func (p *Resources[T]) Resize(limit int) error {
	if limit < 1 || limit > math.MaxInt32 {
		return p.error(fmt.Errorf("resize to %d: want 1 to %d", limit, math.MaxInt32))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.errClosed
	}
	p.limit = limit
	for _, s := range p.idleSlots() {
		if p.surplus() > 0 {
			p.discard(s, resShrink)
		}
	}
	p.settle()
	return nil
}

// Reset destroys all resources that are idle at once, and those in use when they are given back; the pool stays open. It is for
// events that make all resources useless, such as the failure of a network.
func (p *Resources[T]) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expel(resReset)
}

// Close refuses further and waiting calls with [ErrClosed] and destroys all resources, those in use when they are given back. It
// returns when all are destroyed and no goroutine of the pool is left: it waits for every lease, and for constructors, whose
// context it ends. Further calls wait as well.
func (p *Resources[T]) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.end()
		p.dismiss()
		p.expel(resPoolClosed)
		p.clock.Stop()
		p.settle()
	}
	p.mu.Unlock()
	<-p.drained
	if p.tended != nil {
		<-p.tended
	}
	p.reg.Close()
}

func (p *Resources[T]) error(err error) error {
	return fmt.Errorf("resources %q: %w", p.name, err)
}
