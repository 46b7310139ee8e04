package pools

import (
	"context"
	"errors"
	"runtime"

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

// submitSlow looks closer, where the pool seems full or is stopped, and waits for room if it may. Before it blocks it lets others run: if
// that makes room, as it does while tasks are short, it costs less than to be woken for each task.
func (p *Workers) submitSlow(ctx context.Context, task Task, mayWait bool) error {
	for tries := 0; ; tries++ {
		p.run.Lock()
		p.mu.Lock()
		p.ahead = p.out.n
		var err error
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
		case tries < 2 && p.blocked.first == nil:
			p.mu.Unlock()
			p.run.Unlock()
			runtime.Gosched()
			continue
		default:
			blocked := p.block(ctx, task)
			p.mu.Unlock()
			p.run.Unlock()
			return p.await(ctx, blocked)
		}
		p.run.Unlock()
		p.release()
		return err
	}
}

// block appends a caller with a task. The clock is read if the task is chosen for it, and if ctx may end, for then so may the wait.
// Caller must hold both locks.
func (p *Workers) block(ctx context.Context, task Task) *workerCaller {
	c, reused := p.callers.Get().(*workerCaller)
	if !reused {
		c = &workerCaller{answer: make(chan error, 1)}
	}
	c.entry = workerEntry{task, p.asked.ask()}
	c.since = c.entry.asked.at()
	if c.since == 0 && ctx.Done() != nil {
		c.since = p.asked.now()
	}
	p.blocked.push(c)
	return c
}

// await returns the answer to c, unless ctx ends first. Then c is no longer blocked.
func (p *Workers) await(ctx context.Context, c *workerCaller) error {
	defer p.callers.Put(c)
	done := ctx.Done()
	if done == nil {
		return <-c.answer
	}
	select {
	case err := <-c.answer:
		return err
	case <-done:
	}
	p.run.Lock()
	defer p.run.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.waiting {
		return <-c.answer // it came first, and counts
	}
	p.blocked.remove(c)
	c.entry = workerEntry{}
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
		p.in.push(c.entry)
		c.entry = workerEntry{}
		c.answer <- nil
	}
}
