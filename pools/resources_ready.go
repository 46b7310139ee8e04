package pools

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

const (
	resJitter = 0.1         // maximum reduction of a lifetime, as a fraction of MaxLifetime
	resGrace  = time.Second // time after the end of a check's context before the check is abandoned
)

// resPanic is the error for a panic in one of the program's functions.
type resPanic struct {
	value any
	stack []byte
}

func (e *resPanic) Error() string {
	return fmt.Sprintf("panic: %v\n%s", e.value, e.stack)
}

// errResExit is the error for a constructor or check that ended its goroutine.
var errResExit = errors.New("runtime.Goexit was called")

// CreateResource constructs a resource and adds it to the pool. The constructor's context ends when
// ctx does. The error wraps [ErrFull], [ErrClosed] or the constructor's error.
func (p *Resources[T]) CreateResource(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		defer p.mu.Unlock()
		return p.errClosed
	}
	if !p.hasRoom() {
		defer p.mu.Unlock()
		return p.errFull
	}
	s := p.add()
	p.mu.Unlock()
	ctx, stop := p.untilClosed(ctx)
	defer stop()
	return <-p.readyLater(ctx, s)
}

// await waits until the resource of s has been constructed or checked for the caller, or ctx is
// done.
func (p *Resources[T]) await(ctx context.Context, s *resSlot[T]) (Lease[T], error) {
	done := p.readyLater(&poolContext{p.life, ctx}, s)
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		if waited, abandoned := p.abandon(s, ctx.Err()); abandoned {
			p.requests.Traced(ctx, waited)
			return Lease[T]{}, ctx.Err()
		}
		err = <-done // the answer arrived at the same moment
	}
	if err != nil {
		return Lease[T]{}, err
	}
	p.requests.Traced(ctx, s.waited) // only the lease's holder reads waited
	return Lease[T]{s, s.turn}, nil
}

// abandon gives up the wait for s, unless s is ready. The pool keeps the resource.
func (p *Resources[T]) abandon(s *resSlot[T], err error) (waited measure.Waited, abandoned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.wanted {
		return measure.Waited{}, false
	}
	p.answered(s, instrument.GaveUp(err))
	return s.waited, true
}

// answered counts, under outcome, the request for which the resource of s was constructed or
// checked. Caller must hold p.mu.
func (p *Resources[T]) answered(s *resSlot[T], outcome instrument.Outcome) {
	s.wanted, s.waited = false, measure.Waited{}
	p.wanted--
	if s.reserved == 0 {
		p.requests.Add(outcome, 1)
	} else {
		s.waited = p.requests.End(&p.meter, outcome, s.wait, s.reserved)
		s.reserved = 0
	}
}

// readyLater constructs or checks the resource of s in the background. The context of the
// constructor or check also ends when the pool is closed. The result is sent to the returned
// channel.
func (p *Resources[T]) readyLater(ctx context.Context, s *resSlot[T]) <-chan error {
	done := make(chan error, 1)
	go p.ready(ctx, s, done)
	return done
}

// ready constructs or checks the resource of s, and sends the result to done, which must have room
// for it.
func (p *Resources[T]) ready(ctx context.Context, s *resSlot[T], done chan<- error) {
	err := errResExit // the result if fill does not return
	defer func() {
		if v := recover(); v != nil {
			err = &resPanic{v, debug.Stack()}
		}
		done <- p.onConstructed(s, err)
	}()
	err = p.fill(ctx, s)
}

// fill constructs a resource for s, unless s already has one that passes its check.
func (p *Resources[T]) fill(ctx context.Context, s *resSlot[T]) error {
	if s.made && p.keeps(ctx, s) {
		return nil
	}
	if err := p.life.Err(); err != nil {
		return err
	}
	s.started = measure.Clock()
	value, err := p.construct(ctx)
	if err == nil {
		s.value, s.made = value, true
	}
	return err
}

// untilClosed returns a context derived from ctx that also ends when the pool is closed.
func (p *Resources[T]) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// keeps checks the resource in s, and reports whether it may be kept. If not, keeps destroys the
// resource.
func (p *Resources[T]) keeps(ctx context.Context, s *resSlot[T]) bool {
	passed, returned := p.check(ctx, s.value)
	p.mu.Lock()
	reason := resHealth
	switch stale := s.epoch != p.epoch; {
	case p.closed && passed:
		p.mu.Unlock()
		return true // keep it for the caller, if there is one
	case p.closed:
		reason = resPoolClosed
	case stale:
		reason = resReset
	case passed:
		p.mu.Unlock()
		return true
	}
	p.ended[reason]++
	s.made, s.epoch = false, p.epoch
	if returned == nil {
		p.mu.Unlock()
		p.destroyValue(s.value)
		return false
	}
	p.hung++
	p.mu.Unlock()
	go p.destroyHung(s.value, returned)
	return false
}

// check runs the program's check, and reports whether the resource has passed it. A check that
// panics or ends its goroutine fails. If the check ignores the end of its context, check abandons
// it and returns a channel that is closed when the check returns.
func (p *Resources[T]) check(ctx context.Context, value T) (passed bool, returned <-chan struct{}) {
	ctx = &poolContext{p.life, ctx} // the check belongs to the pool; the caller may give up
	if p.cfg.CheckTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.cfg.CheckTimeout)
		defer cancel()
	}
	done := make(chan struct{})
	result := errResExit // the result if the check does not return
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		result = p.cfg.Check(ctx, value)
	}()
	select {
	case <-done:
		return result == nil, nil
	case <-ctx.Done():
	}
	grace := time.NewTimer(resGrace)
	defer grace.Stop()
	select {
	case <-done:
		return result == nil, nil
	case <-grace.C:
		return false, done
	}
}

// destroyHung destroys a resource whose check was abandoned, once the check has returned.
func (p *Resources[T]) destroyHung(value T, returned <-chan struct{}) {
	defer func() { // runs even if the function calls Goexit
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hung--
		p.serveWaiters()
	}()
	<-returned
	p.destroyValue(value)
}

// onConstructed records the end of the construction or check of s. It returns the error for the
// caller that waits for s.
func (p *Resources[T]) onConstructed(s *resSlot[T], err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readying--
	now := measure.Clock()
	if err != nil {
		return p.onConstructFailed(s, now, err)
	}
	s.checked, s.unused = now, true
	if s.started != 0 {
		p.makes.record(resMade, now-s.started)
		s.lastUsed, s.started, s.created = now, 0, time.Now()
		s.expires = p.expiry(now)
	}
	switch {
	case s.wanted:
		p.answered(s, instrument.Acquired)
		p.lend(s, &s.site, p.meter.Event(p.uses.InUse()))
	case p.closed:
		p.destroyLater(s, resPoolClosed)
		return p.errClosed
	default:
		p.offer(s, p.meter.Event(p.uses.InUse()), true)
	}
	return nil
}

// onConstructFailed removes s, for which no resource could be constructed. It returns the error for
// the caller that waits for s. Caller must hold p.mu.
func (p *Resources[T]) onConstructFailed(s *resSlot[T], now time.Duration, err error) error {
	how := resMakingOf(err)
	if s.started != 0 {
		p.makes.record(how, now-s.started)
	}
	if p.closed {
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	switch {
	case s.wanted && p.closed:
		p.answered(s, instrument.WasClosed)
	case s.wanted:
		p.answered(s, instrument.Acquired)
		p.uses.Skip(&p.meter, how.ending())
	default:
		p.retryAt = now + resRetry
	}
	p.remove(s)
	return p.error(fmt.Errorf("construct: %w", err))
}

// expiry returns when a resource that is constructed now expires.
func (p *Resources[T]) expiry(now time.Duration) time.Duration {
	if p.cfg.MaxLifetime == 0 {
		return 0
	}
	return now + p.cfg.MaxLifetime - time.Duration(rand.Float64()*resJitter*float64(p.cfg.MaxLifetime))
}

// destroyLater destroys the resource of s in the background. s must not be idle. Caller must hold
// p.mu.
func (p *Resources[T]) destroyLater(s *resSlot[T], reason resReason) {
	s.state = resClosing
	p.closing++
	p.ended[reason]++
	go p.destroy(s)
}

// destroyAll destroys the resources of s and all slots linked to it by next.
func (p *Resources[T]) destroyAll(s *resSlot[T]) {
	for s != nil {
		next := s.next // read it before another goroutine reuses s
		go p.destroy(s)
		s = next
	}
}

func (p *Resources[T]) destroy(s *resSlot[T]) {
	defer func() { // runs even if the function calls Goexit
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closing--
		p.remove(s)
	}()
	p.destroyValue(s.value)
}

// destroyValue runs the destructor. It reports a panic to otel.Handle, since there is no caller to
// return an error to.
func (p *Resources[T]) destroyValue(value T) {
	if p.cfg.Destroy == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			otel.Handle(p.error(fmt.Errorf("destroy: %w", &resPanic{v, debug.Stack()})))
		}
	}()
	p.cfg.Destroy(value)
}
