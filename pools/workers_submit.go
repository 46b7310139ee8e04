package pools

import (
	"context"
	"errors"

	"github.com/poolgauge/poolgauge/instrument"
)

var errNilTask = errors.New("pools: the task is nil")

// Submit hands task to the pool. It blocks while the queue is full, until there is room, ctx ends or the pool is closed; ctx does
// not reach the task. When Submit returns nil, the task will run, unless Close drops it. Otherwise it will not, and the error is
// that of ctx or wraps [ErrClosed]; or it wraps [ErrDeadlock], since ctx is that of a task of the same pool and the queue is full.
// It panics if task is nil.
func (p *Workers) Submit(ctx context.Context, task Task) error {
	if task == nil {
		panic(errNilTask)
	}
	if ctx.Err() != nil {
		return p.giveUp(ctx)
	}
	p.mu.Lock()
	if p.stage == workersOpen && p.in.n+p.ahead < p.config.Queue {
		p.in.push(workerEntry{task, p.asked.ask()})
		if p.settled() {
			p.mu.Unlock()
		} else {
			p.rouse()
		}
		return nil
	}
	p.mu.Unlock()
	return p.submitSlow(ctx, task, true)
}

// TrySubmit hands task to the pool if that is possible without blocking. Otherwise it returns an error that wraps [ErrFull], or
// [ErrClosed] after the pool was stopped. It panics if task is nil.
func (p *Workers) TrySubmit(task Task) error {
	if task == nil {
		panic(errNilTask)
	}
	p.mu.Lock()
	if p.stage == workersOpen && p.in.n+p.ahead < p.config.Queue {
		p.in.push(workerEntry{task, p.asked.ask()})
		if p.settled() {
			p.mu.Unlock()
		} else {
			p.rouse()
		}
		return nil
	}
	p.mu.Unlock()
	return p.submitSlow(context.Background(), task, false)
}

// submitSlow looks closer, where the pool seems full or is stopped, and waits for room if it may.
func (p *Workers) submitSlow(ctx context.Context, task Task, mayWait bool) error {
	var blocked *workerCaller
	var err error
	p.run.Lock()
	p.mu.Lock()
	p.ahead = p.out.n
	switch {
	case p.stage != workersOpen:
		err = p.errClosed
		p.asked.refuse(instrument.WasClosed, 0)
	case p.in.n+p.ahead < p.config.Queue:
		p.in.push(workerEntry{task, p.asked.ask()})
	case !mayWait:
		err = p.errFull
		p.asked.refuse(instrument.Rejected, 0)
	case p.isInside(ctx):
		err = p.errDeadlock
		p.asked.refuse(instrument.Rejected, 0)
	default:
		blocked = p.block(task)
	}
	p.run.Unlock()
	p.release()
	if blocked != nil {
		return p.await(ctx, blocked)
	}
	return err
}

// block appends a caller with a task. Caller must hold both locks.
func (p *Workers) block(task Task) *workerCaller {
	c, reused := p.callers.Get().(*workerCaller)
	if !reused {
		c = &workerCaller{answer: make(chan error, 1)}
	}
	c.task, c.since = task, p.asked.now()
	p.blocked.push(c)
	return c
}

// await returns the answer to c, unless ctx ends first. Then c is no longer blocked.
func (p *Workers) await(ctx context.Context, c *workerCaller) error {
	defer p.callers.Put(c)
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
	}
	p.run.Lock()
	defer p.run.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.waiting {
		return <-c.answer // it came first, and counts
	}
	p.blocked.remove(c)
	c.task = nil
	err := ctx.Err()
	p.asked.refuse(instrument.GaveUp(err), c.since)
	return err
}

// giveUp counts a request whose context had ended before.
func (p *Workers) giveUp(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked.refuse(instrument.GaveUp(ctx.Err()), 0)
	return ctx.Err()
}

// admit lets blocked callers in as far as there is room. Caller must hold both locks.
func (p *Workers) admit() {
	for p.blocked.first != nil && p.in.n+p.out.n < p.config.Queue {
		c := p.blocked.pop()
		p.in.push(workerEntry{c.task, p.asked.askBlocked(c.since)})
		c.task = nil
		c.answer <- nil
	}
}
