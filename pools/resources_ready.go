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

// resPanic is the error for a panic in a constructor, check or destructor.
type resPanic struct {
	value any
	stack []byte
}

func (e *resPanic) Error() string {
	return fmt.Sprintf("panic: %v\n%s", e.value, e.stack)
}

// errResExit is the error for a constructor or check that ended its goroutine.
var errResExit = errors.New("runtime.Goexit was called")

// CreateResource constructs a resource and adds it to the pool. The constructor's context is
// derived from ctx. Any error wraps [ErrFull], [ErrClosed] or the constructor's error.
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
	return <-p.prepareLater(ctx, s)
}

// await waits until the resource of s has been constructed or checked for the caller, or ctx is
// done.
func (p *Resources[T]) await(ctx context.Context, s *resSlot[T]) (Lease[T], error) {
	done := p.prepareLater(&poolContext{p.life, ctx}, s)
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		if waited, abandoned := p.abandon(s, ctx.Err()); abandoned {
			p.requests.Traced(ctx, waited)
			return Lease[T]{}, ctx.Err()
		}
		err = <-done // s became ready first
	}
	if err != nil {
		return Lease[T]{}, err
	}
	p.requests.Traced(ctx, s.waited) // only the lease's holder reads waited
	return Lease[T]{s, s.generation}, nil
}

// abandon ends the wait for s because of err, unless s is already ready. The pool keeps the
// resource.
func (p *Resources[T]) abandon(s *resSlot[T], err error) (waited measure.Waited, abandoned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.wanted {
		return measure.Waited{}, false
	}
	p.endRequest(s, instrument.GaveUp(err))
	return s.waited, true
}

// endRequest counts, under outcome, the request for which the resource of s is being constructed or
// checked. Caller must hold p.mu.
func (p *Resources[T]) endRequest(s *resSlot[T], outcome instrument.Outcome) {
	s.wanted, s.waited = false, measure.Waited{}
	p.wanted--
	if s.reserved == 0 {
		p.requests.Add(outcome, 1)
	} else {
		s.waited = p.requests.End(&p.meter, outcome, s.wait, s.reserved)
		s.reserved = 0
	}
}

// prepareLater constructs or checks the resource of s in the background, and returns a channel that
// receives the result. ctx must end when the pool is closed.
func (p *Resources[T]) prepareLater(ctx context.Context, s *resSlot[T]) <-chan error {
	done := make(chan error, 1)
	go p.prepare(ctx, s, done)
	return done
}

// prepare constructs or checks the resource of s, and sends the result to done, which must be
// buffered.
func (p *Resources[T]) prepare(ctx context.Context, s *resSlot[T], done chan<- error) {
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
	if s.made && p.checkOrDestroy(ctx, s) {
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

// checkOrDestroy checks the resource in s, and reports whether it may be used. If not, it destroys
// the resource.
func (p *Resources[T]) checkOrDestroy(ctx context.Context, s *resSlot[T]) bool {
	passed, returned := p.check(ctx, s.value)
	p.mu.Lock()
	reason := resHealth
	switch stale := s.epoch != p.epoch; {
	case p.closed && passed:
		p.mu.Unlock()
		return true // leave it to the waiting caller, if there is one
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

// check runs the program's check, and reports whether the resource passed. A check that panics or
// ends its goroutine fails. If the check has not returned resGrace after its context is done, check
// abandons it and returns a channel that is closed when the check returns.
func (p *Resources[T]) check(ctx context.Context, value T) (passed bool, returned <-chan struct{}) {
	ctx = &poolContext{p.life, ctx} // the check continues if the caller gives up
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
	defer func() { // runs even if the destructor calls runtime.Goexit
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hung--
		p.serveWaiters()
	}()
	<-returned
	p.destroyValue(value)
}

// onConstructed records the end of the construction or check of s, which failed if err is not nil.
// It returns the error for the caller that waits for s.
func (p *Resources[T]) onConstructed(s *resSlot[T], err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.preparing--
	now := measure.Clock()
	if err != nil {
		return p.onConstructFailed(s, now, err)
	}
	s.checked, s.unused = now, true
	if s.started != 0 {
		p.constructions.record(resMade, now-s.started)
		s.lastUsed, s.started, s.created = now, 0, time.Now()
		s.expires = p.expiry(now)
	}
	switch {
	case s.wanted:
		p.endRequest(s, instrument.Acquired)
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
	result := resResultOf(err)
	if s.started != 0 {
		p.constructions.record(result, now-s.started)
	}
	if p.closed {
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	switch {
	case s.wanted && p.closed:
		p.endRequest(s, instrument.WasClosed)
	case s.wanted:
		p.endRequest(s, instrument.Acquired)
		p.uses.Skip(&p.meter, result.ending())
	default:
		p.retryAt = now + resRetry
	}
	p.remove(s)
	return p.error(fmt.Errorf("construct: %w", err))
}

// expiry returns when a resource constructed at time now expires, or 0 if it never does.
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

// destroyAll destroys, in the background, the resources of s and of all slots linked to it by next.
func (p *Resources[T]) destroyAll(s *resSlot[T]) {
	for s != nil {
		next := s.next // read it before another goroutine reuses s
		go p.destroy(s)
		s = next
	}
}

func (p *Resources[T]) destroy(s *resSlot[T]) {
	defer func() { // runs even if the destructor calls runtime.Goexit
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
