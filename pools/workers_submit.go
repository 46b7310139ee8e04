package pools

import (
	"context"
	"sync"

	"github.com/poolgauge/poolgauge/instrument"
)

// Submit hands task to the pool. It blocks while the queue is full, until there is room, ctx ends or the pool is closed; ctx does
// not reach the task. When Submit returns nil, the task will run, unless Close drops it. Otherwise it will not, and the error is
// that of ctx or wraps [ErrClosed]; or it wraps [ErrDeadlock], since ctx is that of a task of the same pool and the queue is full.
// It panics if task is nil.
func (p *Workers) Submit(ctx context.Context, task Task) error {
	if task == nil {
		panic(errNilTask)
	}
	if err := ctx.Err(); err != nil {
		p.mu.Lock()
		return p.refuse(instrument.GaveUp(err), err)
	}
	p.mu.Lock()
	if p.stage != workersOpen {
		return p.refuse(instrument.WasClosed, p.errClosed)
	}
	if p.queue.full() {
		return p.submitBlocked(ctx, task)
	}
	p.queue.push(workerEntry{task, p.ledger.ask()})
	p.release()
	return nil
}

// TrySubmit hands task to the pool if that is possible without blocking. Otherwise it returns an error that wraps [ErrFull], or
// [ErrClosed] after the pool was stopped. It panics if task is nil.
func (p *Workers) TrySubmit(task Task) error {
	if task == nil {
		panic(errNilTask)
	}
	p.mu.Lock()
	if p.stage != workersOpen {
		return p.refuse(instrument.WasClosed, p.errClosed)
	}
	if p.queue.full() {
		return p.refuse(instrument.Rejected, p.errFull)
	}
	p.queue.push(workerEntry{task, p.ledger.ask()})
	p.release()
	return nil
}

// refuse counts a request that is turned away, and returns err. It unlocks mu, which the caller must hold.
func (p *Workers) refuse(how instrument.Outcome, err error) error {
	p.ledger.refuse(how, 0)
	p.mu.Unlock()
	return err
}

// workerCallersFree keeps callers for reuse, so that blocking does not allocate.
var workerCallersFree = sync.Pool{New: func() any {
	return &workerCaller{answer: make(chan error, 1)}
}}

// submitBlocked waits for room. It unlocks mu, which the caller must hold.
func (p *Workers) submitBlocked(ctx context.Context, task Task) error {
	if p.isInside(ctx) {
		return p.refuse(instrument.Rejected, p.errDeadlock)
	}
	c := workerCallersFree.Get().(*workerCaller)
	defer workerCallersFree.Put(c)
	c.task, c.since = task, p.ledger.now()
	p.blocked.push(c)
	p.mu.Unlock()
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.waiting { // the answer came first
		return <-c.answer
	}
	p.blocked.remove(c)
	c.task = nil
	err := ctx.Err()
	p.ledger.refuse(instrument.GaveUp(err), c.since)
	return err
}

// admit lets the first blocked caller's task into the queue, which has room for it. There must be one, and the caller must hold mu.
func (p *Workers) admit() {
	c := p.blocked.pop()
	p.queue.push(workerEntry{c.task, p.ledger.askBlocked(c.since)})
	c.task = nil
	c.answer <- nil
}
