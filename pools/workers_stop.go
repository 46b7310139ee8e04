package pools

import (
	"context"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Shutdown stops the pool once all accepted tasks are done. The pool accepts no more tasks, and
// blocked callers get [ErrClosed]. If ctx is done first, Shutdown returns ctx.Err(); the remaining
// tasks still run unless Close is called. If one of the pool's tasks calls Shutdown, it returns
// [ErrDeadlock] and leaves the pool unchanged.
//
// When Shutdown returns nil, all of the pool's goroutines have ended and the pool is no longer
// reported.
func (p *Workers) Shutdown(ctx context.Context) error {
	if p.isInside(ctx) || p.isWorker() {
		return p.errDeadlock
	}
	p.stop(workersDraining)
	select {
	case <-p.drained:
		p.goroutines.Wait()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops the pool immediately. It cancels the contexts of running tasks, and waits for these
// tasks to return. It drops queued tasks, which count as closed. Blocked callers get [ErrClosed].
// Further calls to Close wait as well.
//
// When Close returns, all of the pool's goroutines have ended and the pool is no longer reported.
// If one of the pool's tasks calls Close, it does not wait, since the task would wait for itself;
// the pool then stops after the last task.
func (p *Workers) Close() {
	inside := p.isWorker()
	p.stop(workersClosed)
	p.cancel(p.errClosed)
	if inside {
		return
	}
	<-p.drained
	p.goroutines.Wait()
}

// stop moves the pool to stage. It has no effect if the pool has already reached that stage.
func (p *Workers) stop(stage workersStage) {
	p.mu.Lock()
	p.stage = max(p.stage, stage)
	now := p.meter.Event(int64(p.used))
	for w := p.blocked.first; w != nil; w = p.blocked.first {
		p.requests.End(&p.meter, instrument.WasClosed, w.wait, now)
		p.answer(w, p.errClosed)
	}
	var dropped entryQueue
	if stage == workersClosed {
		dropped, p.queue = p.queue, entryQueue{}
		for i := range dropped.n {
			e := &dropped.ring[(dropped.head+i)&(len(dropped.ring)-1)]
			p.requests.End(&p.meter, instrument.WasClosed, e.wait, now)
		}
	}
	p.unset(&p.trim)
	p.unset(&p.watch)
	last := p.dismiss(p.idlers)
	p.mu.Unlock()
	for dropped.n > 0 {
		dropped.pop().job.drop()
	}
	if last {
		p.finish()
	}
}

// finish completes the stop of the pool. It must be called once, without holding the lock, when the
// last worker has ended.
func (p *Workers) finish() {
	p.cancel(p.errClosed)
	p.reg.Close()
	close(p.drained)
}

// alarm is one of the pool's timers. The pool's lock guards it.
type alarm struct {
	timer *time.Timer // nil until the alarm is set for the first time
	isSet bool
}

// set sets alarm a unless it is already set. After the given duration, the alarm calls f with mu
// held, unless the pool was stopped. f must be the same whenever a is set. Caller must hold mu.
func (p *Workers) set(a *alarm, after time.Duration, f func()) {
	if a.isSet {
		return
	}
	a.isSet = true
	p.goroutines.Add(1)
	if a.timer != nil {
		a.timer.Reset(after)
		return
	}
	a.timer = time.AfterFunc(after, func() {
		defer p.goroutines.Done()
		p.mu.Lock()
		defer p.mu.Unlock()
		a.isSet = false
		if p.stage == workersOpen {
			f()
		}
	})
}

// unset stops alarm a. Caller must hold mu.
func (p *Workers) unset(a *alarm) {
	if a.isSet && a.timer.Stop() {
		a.isSet = false
		p.goroutines.Done()
	}
}

// trimLater sets the alarm that releases idle workers. Caller must hold mu.
func (p *Workers) trimLater() {
	if p.config.IdleTimeout > 0 && !p.trim.isSet {
		p.minIdlers = p.idlers
		p.set(&p.trim, p.config.IdleTimeout, p.releaseIdle)
	}
}

// releaseIdle releases the workers that have been idle ever since the alarm was set. There are
// minIdlers of them, because the worker that became idle last gets the next task. Caller must hold
// mu.
func (p *Workers) releaseIdle() {
	p.dismiss(p.minIdlers)
	if p.idlers > 0 {
		p.trimLater()
	}
}
