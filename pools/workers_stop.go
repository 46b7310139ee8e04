package pools

import (
	"context"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Shutdown stops the pool once all accepted tasks are done. No more tasks are accepted, and blocked
// callers get [ErrClosed]. If ctx ends first, Shutdown returns the error of ctx; the remaining
// tasks still run unless Close is called. Within a task, Shutdown returns [ErrDeadlock] and leaves
// the pool unchanged.
//
// When Shutdown returns nil, all goroutines of the pool and its report have ended.
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

// Close stops the pool at once. It cancels the context of running tasks and waits for them. It
// drops queued tasks, which count as closed. Blocked callers get [ErrClosed]. Further calls wait as
// well.
//
// When Close returns, all goroutines of the pool and its report have ended. Within a task, Close
// does not wait, since it would wait for itself: the pool is closed, and ends after the last task.
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

// stop moves the pool to a later stage. It does nothing if the pool has already reached it.
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

// finish is called once, without the lock held, when the pool was stopped and the last worker has
// ended.
func (p *Workers) finish() {
	p.cancel(p.errClosed)
	p.reg.Close()
	close(p.drained)
}

// alarm is a timer of the pool. It is guarded by the lock of the pool.
type alarm struct {
	timer *time.Timer // nil until it is set for the first time
	isSet bool
}

// set starts an alarm, unless it is already set. After that time it calls f with the lock held.
// Caller must hold mu.
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

// unset stops an alarm. Caller must hold mu.
func (p *Workers) unset(a *alarm) {
	if a.isSet && a.timer.Stop() {
		a.isSet = false
		p.goroutines.Done()
	}
}

// trimLater sets the alarm that releases idle workers. Caller must hold mu.
func (p *Workers) trimLater() {
	if p.config.IdleTimeout > 0 && !p.trim.isSet {
		p.lowest = p.idlers
		p.set(&p.trim, p.config.IdleTimeout, p.releaseIdle)
	}
}

// releaseIdle releases the workers that were idle ever since the alarm was set. Their number is the
// smallest number of idle workers since then, because the worker that became idle last works next.
// Caller must hold mu.
func (p *Workers) releaseIdle() {
	p.dismiss(p.lowest)
	if p.idlers > 0 {
		p.trimLater()
	}
}
