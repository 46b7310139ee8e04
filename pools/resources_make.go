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
)

// resPanic is the error of a function of the user that panicked.
type resPanic struct {
	value any
	stack []byte
}

func (e *resPanic) Error() string {
	return fmt.Sprintf("panic: %v\n%s", e.value, e.stack)
}

// errResExit is the error of a constructor that ended its goroutine.
var errResExit = errors.New("runtime.Goexit was called")

// prepare makes s ready for use, and tells done, which must not block, how that ended. Its context also ends when the pool is closed.
func (p *Resources[T]) prepare(ctx context.Context, s *resSlot[T], done chan<- error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	err := errResExit // unless told otherwise below
	defer func() {
		if v := recover(); v != nil {
			err = &resPanic{v, debug.Stack()}
		}
		done <- p.arrive(s, err)
	}()
	err = p.fill(ctx, s)
}

// prepareLater makes s ready for use in the background. It returns where it will say how that ended.
func (p *Resources[T]) prepareLater(ctx context.Context, s *resSlot[T]) <-chan error {
	done := make(chan error, 1)
	go p.prepare(ctx, s, done)
	return done
}

// fill puts a new resource into s, unless the one that is there passes its check.
func (p *Resources[T]) fill(ctx context.Context, s *resSlot[T]) error {
	if s.made {
		if p.passes(ctx, s) {
			return nil
		}
		p.replace(s)
	}
	s.started = instrument.Now()
	value, err := p.construct(ctx)
	if err == nil {
		s.value, s.made, s.fresh = value, true, true
	}
	return err
}

// passes runs the check, in which a panic is a failure.
func (p *Resources[T]) passes(ctx context.Context, s *resSlot[T]) (ok bool) {
	defer func() { _ = recover() }()
	return p.cfg.Check(ctx, s.value) == nil
}

// replace empties s, whose resource has failed its check.
func (p *Resources[T]) replace(s *resSlot[T]) {
	p.destroyValue(s)
	s.made = false
	p.mu.Lock()
	p.ended[resHealth]++
	s.epoch = p.epoch
	p.mu.Unlock()
}

// arrive ends the construction or check of s. It returns the error for the caller that wanted it.
func (p *Resources[T]) arrive(s *resSlot[T], err error) error {
	now := instrument.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.fresh {
		s.fresh = false
		p.makes[resMade].Record(now - s.started)
		s.lastUsed = now
		s.created = time.Now()
		s.expires = p.expiry(now)
	}
	s.checked = now
	switch {
	case err != nil:
		return p.lost(s, now, err)
	case s.wanted:
		s.wanted = false
		p.waits.Add(instrument.Acquired, &s.wait)
		p.lend(s)
	case p.closed:
		p.destroyLater(s, resPoolClosed)
		return p.errClosed
	default:
		p.offer(s, now, true)
	}
	return nil
}

// lost ends s, for which there is no resource. It returns the error for the caller that wanted it. Caller must hold p.mu.
func (p *Resources[T]) lost(s *resSlot[T], now time.Duration, err error) error {
	how := resMakingOf(err)
	switch {
	case s.wanted && p.closed:
		p.refused[instrument.WasClosed]++
		p.waits.Add(instrument.WasClosed, &s.wait)
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	case s.wanted:
		p.acquired++
		p.waits.Add(instrument.Acquired, &s.wait)
		p.completed[how.ending()]++
	default:
		p.retryAt = now + resRetry
	}
	s.wanted = false
	if s.made { // the check has ended its goroutine
		p.destroyLater(s, resHealth)
	} else {
		p.makes[how].Record(now - s.started)
		p.remove(s)
	}
	return fmt.Errorf("resources %q: construct: %w", p.name, err)
}

// expiry returns when a resource made now shall end.
func (p *Resources[T]) expiry(now time.Duration) time.Duration {
	if p.cfg.MaxLifetime == 0 {
		return 0
	}
	return now + p.cfg.MaxLifetime - time.Duration(rand.Float64()*resJitter*float64(p.cfg.MaxLifetime))
}

// destroyLater ends the resource of s in the background. Caller must hold p.mu.
func (p *Resources[T]) destroyLater(s *resSlot[T], reason resReason) {
	s.state = resClosing
	p.closing++
	p.ended[reason]++
	go p.destroy(s)
}

func (p *Resources[T]) destroy(s *resSlot[T]) {
	defer func() { // even if the function calls Goexit
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closing--
		p.remove(s)
	}()
	p.destroyValue(s)
}

// destroyValue runs the destructor. A panic of it has no caller to go to.
func (p *Resources[T]) destroyValue(s *resSlot[T]) {
	if p.cfg.Destroy == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			otel.Handle(p.error(fmt.Errorf("destroy: %w", &resPanic{v, debug.Stack()})))
		}
	}()
	p.cfg.Destroy(s.value)
}
