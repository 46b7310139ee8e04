package pools

import (
	"context"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// worker is one slot of the pool. It stays on the stack of its goroutine, since there may be thousands.
type worker struct {
	use    taskUse           // of its task
	busy   bool              // it has a task that has not been ended
	ending instrument.Ending // of that task, once it is known
	woken  bool              // Workers.waking is set for it
	parked bool              // at is on the stack of idle workers, or was just taken off it
	at     *idleWorker       // nil until it has nothing to do for the first time
}

// idleWorker is where a worker waits that has nothing to do. The locks of the pool guard it but for wake.
type idleWorker struct {
	next *idleWorker // below it on the stack; once it is taken off, itself if the worker is to retire
	wake sync.WaitGroup
}

// start is the goroutine of a new worker.
func (p *Workers) start() {
	p.work(worker{woken: true})
}

// work is the goroutine of a worker, as far as it has come. A task that calls runtime.Goexit ends the goroutine, but not the worker.
func (p *Workers) work(w worker) {
	retired := false
	defer func() {
		if !retired {
			go p.work(w)
			return
		}
		p.goroutines.Done()
	}()
	pprof.SetGoroutineLabels(p.ctx)
	for !retired {
		retired = p.serve(&w)
	}
}

// serve runs tasks until the worker is to retire. It returns false after a panic, and not at all after runtime.Goexit. There is one
// deferred call for all tasks together.
func (p *Workers) serve(w *worker) (retired bool) {
	defer func() {
		if !retired {
			p.unwound(w, recover())
		}
	}()
	for {
		task := p.next(w)
		if task == nil {
			if w.rest() {
				continue
			}
			return true
		}
		w.ending = instrument.OK
		var err error
		if p.config.TaskTimeout == 0 && w.use.cpu == nil {
			err = task(p.ctx)
		} else {
			err = p.runWatched(w, task)
		}
		if err != nil {
			w.ending = instrument.Failed
		}
	}
}

// rest waits until w is woken. It returns false if w is to retire. It is called by serve itself and not from deeper down, since a
// goroutine that parks there may need a larger stack.
func (w *worker) rest() bool {
	if !w.parked {
		return false
	}
	w.at.wake.Wait()
	w.parked = false
	w.woken = w.at.next == nil
	return w.woken
}

// runWatched runs a task that has a deadline, or whose thread is measured.
func (p *Workers) runWatched(w *worker, task Task) error {
	ctx := p.ctx
	if p.config.TaskTimeout != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.config.TaskTimeout)
		defer cancel()
	}
	w.use.cpu.Begin()
	defer w.use.cpu.End()
	return task(ctx)
}

// unwound takes note of a task that did not return. Value is nil after runtime.Goexit.
func (p *Workers) unwound(w *worker, value any) {
	w.ending = instrument.Panicked
	if value == nil {
		w.ending = instrument.Exited
	}
	p.config.OnPanic(newPanicError(p.name, value))
}

// next ends the task of w, if it has one, and returns the next; nil if w is idle now or is to retire.
func (p *Workers) next(w *worker) Task {
	var now time.Duration
	if w.use.began != 0 {
		now = instrument.Now()
	}
	p.run.Lock()
	if w.busy {
		w.busy = false
		p.ran.end(w.use, w.ending, now)
	}
	if w.woken || p.out.n == 0 || p.excess > 0 || p.blocked.first != nil {
		return p.nextSlow(w)
	}
	task := p.begin(w)
	p.run.Unlock()
	return task
}

// begin gives w the first task of out, which must not be empty. Caller must hold run.
func (p *Workers) begin(w *worker) Task {
	e := p.out.pop()
	w.busy = true
	w.use = p.ran.start(e.asked)
	return e.task
}

// nextSlow is the rest of next for when the side of the callers is concerned. It unlocks run, which the caller must hold.
func (p *Workers) nextSlow(w *worker) (task Task) {
	p.mu.Lock()
	if w.woken {
		w.woken, p.waking = false, false
	}
	if p.out.n == 0 {
		p.in, p.out = p.out, p.in
		p.asked.sampler.Timed(p.ran.pace())
	}
	switch {
	case p.excess > 0, p.out.n == 0 && p.stage != workersOpen:
		p.shrink(1)
	case p.out.n > 0:
		task = p.begin(w)
		p.admit()
	default:
		p.park(w)
	}
	p.ahead = p.out.n
	p.run.Unlock()
	p.release()
	return task
}

// park puts w on the stack of idle ones. Caller must hold both locks.
func (p *Workers) park(w *worker) {
	if w.at == nil {
		w.at = new(idleWorker)
	}
	w.parked = true
	w.at.wake.Add(1)
	w.at.next, p.idle = p.idle, w.at
	p.idlers++
	p.trimLater()
}

// unpark takes the worker off the stack that worked last. There must be one, and the caller must hold mu.
func (p *Workers) unpark() *idleWorker {
	w := p.idle
	p.idle, w.next = w.next, nil
	p.idlers--
	p.lowest = min(p.lowest, p.idlers)
	return w
}

// shrink takes n workers off the count. The last one of a stopped pool closes drained. Caller must hold both locks.
func (p *Workers) shrink(n int) {
	p.alive -= n
	p.excess = max(0, p.alive-p.limit)
	if p.alive > 0 || p.stage == workersOpen {
		return
	}
	select {
	case <-p.drained: // already: the pool was stopped again
	default:
		close(p.drained)
	}
}

// release unlocks mu, which the caller must hold, and first sees to it that there is a worker on its way if there are tasks.
func (p *Workers) release() {
	if p.settled() {
		p.mu.Unlock()
	} else {
		p.rouse()
	}
}

// settled reports whether there is nothing to do, nobody to do it, or a worker on its way. Caller must hold mu.
func (p *Workers) settled() bool {
	return p.waking || p.in.n+p.ahead == 0 || p.idle == nil && p.alive >= p.limit
}

// rouse wakes or starts a worker. It unlocks mu, which the caller must hold.
func (p *Workers) rouse() {
	p.waking = true
	if p.idle == nil {
		p.alive++
		p.goroutines.Add(1)
		p.mu.Unlock()
		go p.start()
		return
	}
	w := p.unpark()
	p.mu.Unlock()
	w.wake.Done()
}

// dismiss releases n idle workers, fewer if there are not as many. Caller must hold both locks.
func (p *Workers) dismiss(n int) {
	n = max(0, min(n, p.idlers))
	for range n {
		w := p.unpark()
		w.next = w
		w.wake.Done()
	}
	p.shrink(n)
}

// trimLater sets the idle timer, unless it is set. Caller must hold mu.
func (p *Workers) trimLater() {
	if p.trims {
		return
	}
	p.trims = true
	p.lowest = p.idlers
	p.goroutines.Add(1)
	if p.trimmer == nil {
		p.trimmer = time.AfterFunc(p.config.IdleTimeout, p.trim)
		return
	}
	p.trimmer.Reset(p.config.IdleTimeout)
}

// trim releases the workers that were idle since the timer was set: as many as were idle at any time, since the one that
// worked last works next.
func (p *Workers) trim() {
	defer p.goroutines.Done()
	p.run.Lock()
	defer p.run.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trims = false
	if p.stage != workersOpen {
		return
	}
	p.dismiss(p.lowest)
	if p.idlers > 0 {
		p.trimLater()
	}
}
