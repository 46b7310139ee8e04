package pools

import (
	"context"
	"errors"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

var errNilTask = errors.New("pools: the task is nil")

// stall is the time without progress (no task started or ended) after which blocked callers check
// whether they are workers.
const stall = time.Second

// blockedTask is the task of a blocked caller.
type blockedTask struct {
	job       job
	ctx       *poolContext
	checkSent bool // errCheckSelf was sent to the caller
}

// errCheckSelf is an answer that tells a blocked caller to check whether it is a worker. The caller
// stays blocked.
var errCheckSelf = errors.New("check whether the caller is a worker")

// Submit hands task to the pool. It blocks until there is room, ctx is done or the pool is closed.
//
// If Submit returns nil, the task will run, unless Close drops it, with a context that has the
// values of ctx; see [Task]. Otherwise the task will not run. The error is ctx.Err(), or wraps
// [ErrClosed], [ErrDeadlock], or, if [WorkersConfig.MaxPending] callers are blocked, [ErrFull].
// Submit panics if task is nil.
func (p *Workers) Submit(ctx context.Context, task Task) error {
	if task == nil {
		panic(errNilTask)
	}
	values := p.taskContext(ctx)
	if values != nil {
		return p.submit(ctx, plainJob(task), values)
	}
	// Without values, ctx cannot be canceled, so the fast path of submit is inlined to save 5 ns.
	p.mu.Lock()
	if p.stage == workersOpen && p.hasRoom() {
		p.accept(plainJob(task), nil)
		p.mu.Unlock()
		return nil
	}
	return p.submitSlow(ctx, plainJob(task), nil)
}

// TrySubmit hands task to the pool if that is possible without blocking. Otherwise it returns an
// error that wraps [ErrFull], or [ErrClosed] if the pool was stopped. TrySubmit panics if task is
// nil.
func (p *Workers) TrySubmit(task Task) error {
	if task == nil {
		panic(errNilTask)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stage != workersOpen:
		return p.refuse(instrument.WasClosed, p.errClosed)
	case !p.hasRoom():
		return p.refuse(instrument.Rejected, p.errFull)
	}
	p.accept(plainJob(task), nil)
	return nil
}

// submit implements Submit for any job. values is the job's context, or nil for the pool's context.
func (p *Workers) submit(ctx context.Context, j job, values *poolContext) error {
	if err := ctx.Err(); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.refuse(instrument.GaveUp(err), err)
	}
	p.mu.Lock()
	if p.stage == workersOpen && p.hasRoom() {
		p.accept(j, values)
		p.mu.Unlock()
		return nil
	}
	return p.submitSlow(ctx, j, values)
}

// submitSlow is the slow path of submit, taken if there is no room or the pool was stopped. Caller
// must hold mu, which submitSlow releases.
func (p *Workers) submitSlow(ctx context.Context, j job, values *poolContext) error {
	var err error
	switch {
	case p.stage != workersOpen:
		err = p.refuse(instrument.WasClosed, p.errClosed)
	case p.isInside(ctx):
		err = p.refuse(instrument.Rejected, p.errDeadlock)
	case p.config.MaxPending > 0 && p.blocked.length >= p.config.MaxPending:
		err = p.refuse(instrument.Rejected, p.errFull)
	default:
		w := p.block(j, values)
		p.mu.Unlock()
		return p.await(ctx, w)
	}
	p.mu.Unlock()
	return err
}

// hasRoom reports whether a task may be accepted. A task does not count toward the queue's size if
// a worker that is idle or could be started can take it. Caller must hold mu.
func (p *Workers) hasRoom() bool {
	return p.queue.n-p.size < max(0, p.limit-p.used)
}

// accept appends a job to the queue. Caller must hold mu.
func (p *Workers) accept(j job, values *poolContext) {
	now := p.meter.Event(int64(p.used))
	e := p.queue.push()
	e.job, e.ctx, e.wait = j, values, p.requests.Begin(&p.meter, now)
	if !p.waking && (p.idle != nil || p.alive < p.limit) {
		p.wake()
	}
}

// refuse counts, under outcome, a request that fails without waiting, and returns err. Caller must
// hold mu.
func (p *Workers) refuse(outcome instrument.Outcome, err error) error {
	p.requests.Add(outcome, 1)
	return err
}

// block adds a caller with job j to the blocked callers. Caller must hold mu.
func (p *Workers) block(j job, values *poolContext) *waiter[blockedTask, error] {
	w := p.waiters.get()
	w.ask = blockedTask{job: j, ctx: values}
	w.wait = p.requests.Begin(&p.meter, p.meter.Event(int64(p.used)))
	p.blocked.push(w)
	p.watchLater()
	return w
}

// admit moves blocked callers into the queue while there is room. Caller must hold mu.
func (p *Workers) admit() {
	for w := p.blocked.first; w != nil && p.hasRoom(); w = p.blocked.first {
		e := p.queue.push()
		e.job, e.ctx, e.wait = w.ask.job, w.ask.ctx, w.wait
		p.answer(w, nil)
	}
}

// answer removes w from the blocked callers and sends it err. Caller must hold mu.
func (p *Workers) answer(w *waiter[blockedTask, error], err error) {
	p.blocked.remove(w)
	withdrawCheck(w)
	w.answer <- err
}

// withdrawCheck removes an errCheckSelf that w has not received yet. Caller must hold the pool's
// lock.
func withdrawCheck(w *waiter[blockedTask, error]) {
	if w.ask.checkSent {
		select {
		case <-w.answer: //nolint:errcheck // it is errCheckSelf
		default:
		}
	}
}

// await waits for the answer to w and returns it. If ctx is done first, it removes w from the
// blocked callers.
func (p *Workers) await(ctx context.Context, w *waiter[blockedTask, error]) error {
	defer p.waiters.put(w)
	for {
		var err error
		select {
		case err = <-w.answer:
		case <-ctx.Done():
			return p.giveUp(w, instrument.GaveUp(ctx.Err()), ctx.Err())
		}
		if err != errCheckSelf { //nolint:errorlint // a sentinel that is never wrapped
			return err
		}
		if p.isWorker() {
			return p.giveUp(w, instrument.Rejected, p.errDeadlock)
		}
	}
}

// giveUp ends w's wait with err, unless w has been answered.
func (p *Workers) giveUp(w *waiter[blockedTask, error], outcome instrument.Outcome, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.queue == nil {
		return <-w.answer // w was answered first
	}
	p.blocked.remove(w)
	withdrawCheck(w)
	p.requests.End(&p.meter, outcome, w.wait, p.meter.Event(int64(p.used)))
	return err
}

// watchLater sets the alarm that detects workers that are blocked in Submit. Caller must hold mu.
func (p *Workers) watchLater() {
	if !p.watch.isSet {
		p.lastTransitions = p.transitions()
		p.set(&p.watch, stall, p.checkBlocked)
	}
}

// transitions returns how many times a task has started or ended. Caller must hold mu.
func (p *Workers) transitions() int64 {
	return 2*p.requests.Ended(instrument.Acquired) - int64(p.used)
}

// checkBlocked tells blocked callers to check whether they are workers if no task has started or
// ended since the alarm was set. Caller must hold mu.
func (p *Workers) checkBlocked() {
	if p.transitions() == p.lastTransitions {
		for w := p.blocked.first; w != nil; w = w.next {
			if !w.ask.checkSent {
				w.ask.checkSent = true
				w.answer <- errCheckSelf
			}
		}
	}
	if p.blocked.first != nil {
		p.watchLater()
	}
}
