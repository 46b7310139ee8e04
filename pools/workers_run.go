package pools

import (
	"context"
	"runtime/pprof"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// worker is one slot of the pool. The pool's lock guards job, from, use and busy. Only the worker's
// goroutine writes these fields, so it may read them without the lock.
type worker struct {
	id         uint64            // ID of the worker's goroutine
	job        job               // current job
	ctx        context.Context   // context of job
	from       *poolContext      // context from which ctx was derived; nil for the pool's context
	use        measure.Use       // use of the slot by job
	busy       bool              // the worker has a job that has not ended
	ending     instrument.Ending // how job ended; valid once it has ended
	jobs       uint8             // number of jobs so far, modulo 256
	overloaded bool              // the pool is overloaded, so the clock is not read for each job
	woken      bool              // Workers.waking is set for this worker
	parked     bool              // the worker is on the stack of idle workers, or has just been popped
	at         *idleWorker       // where the worker waits; nil until it is idle for the first time
}

// idleWorker is the place where an idle worker waits. The pool's lock guards it, except for wake.
type idleWorker struct {
	next *idleWorker // next worker on the stack
	wake chan bool   // buffered; receives true if there is work, false if the worker must retire
}

// relabelInterval is the number of tasks after which a worker of an overloaded pool sets its pprof
// label again, since a task may have changed the label. If the pool is not overloaded, the worker
// sets the label before each task.
const relabelInterval = 16

// work is the main loop of a worker's goroutine. If a task calls runtime.Goexit, the goroutine
// ends, and a new goroutine continues as the worker.
func (p *Workers) work(w *worker) {
	retired := false
	defer func() {
		if !retired {
			go p.work(w)
			return
		}
		p.mu.Lock()
		delete(p.workers, w.id)
		p.mu.Unlock()
		p.goroutines.Done()
	}()
	p.identify(w)
	for !retired {
		retired = p.serve(w)
	}
}

// identify records the calling goroutine as the one that runs w, in place of any earlier one.
func (p *Workers) identify(w *worker) {
	id := goroutineID()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workers == nil {
		p.workers = map[uint64]*worker{}
	}
	delete(p.workers, w.id)
	w.id = id
	p.workers[id] = w
}

// serve runs tasks until the worker must retire. It returns false after a panic, and does not
// return after runtime.Goexit. A single deferred call covers all of them, to save one per task.
func (p *Workers) serve(w *worker) (retired bool) {
	defer func() {
		if !retired {
			p.unwound(w, recover())
		}
	}()
	for {
		if !p.next(w) {
			if w.rest() {
				continue
			}
			return true
		}
		if w.jobs++; w.jobs%relabelInterval == 0 || !w.overloaded {
			pprof.SetGoroutineLabels(p.ctx)
		}
		err := p.run(w)
		w.ending = instrument.OK
		if err != nil {
			p.failed(w, err)
		}
	}
}

// run runs the current job of w.
func (p *Workers) run(w *worker) error {
	if p.config.TaskTimeout > 0 || w.use.Sample != nil {
		return p.runWatched(w)
	}
	if task, plain := w.job.(plainJob); plain {
		return task(w.ctx)
	}
	return w.job.run(w.ctx)
}

// rest waits until w is woken. It returns false if w must retire. serve calls it directly, because
// a goroutine that parks deeper in the call stack may need a larger stack.
func (w *worker) rest() bool {
	if !w.parked {
		return false
	}
	w.woken = <-w.at.wake
	w.parked = false
	return w.woken
}

// runWatched is like run, for a task that has a deadline or whose thread is measured.
func (p *Workers) runWatched(w *worker) error {
	if p.config.TaskTimeout > 0 {
		var cancel context.CancelFunc
		w.ctx, cancel = context.WithTimeout(w.ctx, p.config.TaskTimeout)
		defer cancel()
	}
	w.use.Sample.Begin()
	defer w.use.Sample.End()
	return w.job.run(w.ctx)
}

// failed records that w's task returned err, and calls OnError if it is set.
func (p *Workers) failed(w *worker, err error) {
	w.ending = instrument.Failed
	if _, plain := w.job.(plainJob); plain && p.config.OnError != nil {
		p.config.OnError(w.ctx, err)
	}
}

// unwound records that w's task panicked with value, or called runtime.Goexit if value is nil, and
// calls OnPanic.
func (p *Workers) unwound(w *worker, value any) {
	w.ending = instrument.Panicked
	if value == nil {
		w.ending = instrument.Exited
	}
	p.config.OnPanic(newPanicError(p.name, value))
}

// next records the end of w's task, if it has one, and gives w the next task. It returns false if w
// is idle now or must retire.
func (p *Workers) next(w *worker) bool {
	p.mu.Lock()
	now := p.meter.Event(int64(p.used))
	if w.busy {
		w.busy = false
		p.used--
		p.uses.End(&p.meter, w.use, w.ending, now)
	}
	if p.queue.n == 0 || w.woken || p.alive > p.limit || p.blocked.first != nil {
		return p.nextSlow(w, now)
	}
	p.begin(w, now)
	p.mu.Unlock()
	return true
}

// nextSlow is the slow path of next. Caller must hold mu, which nextSlow releases.
func (p *Workers) nextSlow(w *worker, now time.Duration) (begun bool) {
	if w.woken {
		w.woken, p.waking = false, false
	}
	last := false
	switch {
	case p.alive > p.limit, p.queue.n == 0 && p.stage != workersOpen:
		last = p.shrink(1)
	case p.queue.n > 0:
		p.begin(w, now)
		begun = true
	default:
		p.park(w)
	}
	p.admit()
	p.wake()
	p.mu.Unlock()
	if last {
		p.finish()
	}
	return begun
}

// begin gives w the first task in the queue, which must not be empty. Caller must hold mu.
func (p *Workers) begin(w *worker, now time.Duration) {
	e := p.queue.pop()
	w.job, w.ctx, w.from = e.job, p.ctx, e.ctx
	if e.ctx != nil {
		w.ctx = e.ctx
	}
	e.job, e.ctx = nil, nil
	waited := p.requests.End(&p.meter, instrument.Acquired, e.wait, now)
	if w.from != nil {
		p.requests.TracedBy(w.from.span(), waited)
	}
	w.use = p.uses.Begin(&p.meter, now)
	w.busy, w.overloaded = true, now == 0
	p.used++
	p.setTracing(p.used >= p.limit && w.use.IsTimed())
}

// setTracing sets whether tasks that are submitted from now on record their traces. Caller must
// hold mu.
func (p *Workers) setTracing(yes bool) {
	if yes != p.tracing.Load() {
		p.tracing.Store(yes)
	}
}

// hold describes the task that w runs. Caller must hold the pool's lock.
func (w *worker) hold() measure.Hold {
	return measure.Hold{Site: w.job.function().Site(), Trace: w.from.span().TraceID()}
}

// park pushes w onto the stack of idle workers. Caller must hold mu.
func (p *Workers) park(w *worker) {
	if w.at == nil {
		w.at = &idleWorker{wake: make(chan bool, 1)}
	}
	w.job, w.ctx, w.from = nil, nil, nil // so that they can be garbage-collected
	w.parked = true
	p.setTracing(false)
	w.at.next, p.idle = p.idle, w.at
	p.idlers++
	p.trimLater()
}

// unpark pops the worker that became idle last. The stack must not be empty. Caller must hold mu.
func (p *Workers) unpark() *idleWorker {
	w := p.idle
	p.idle, w.next = w.next, nil
	p.idlers--
	p.minIdlers = min(p.minIdlers, p.idlers)
	return w
}

// wake wakes the worker that became idle last, or starts a worker, if there are tasks. It does
// nothing while a worker that was woken has yet to take the lock. Caller must hold mu.
func (p *Workers) wake() {
	switch {
	case p.waking || p.queue.n == 0:
	case p.idle != nil:
		p.waking = true
		p.unpark().wake <- true
	case p.alive < p.limit:
		p.waking = true
		p.alive++
		p.goroutines.Add(1)
		go p.work(&worker{woken: true})
	}
}

// shrink counts n workers as ended. It returns true if they were the last workers of a stopped
// pool; the caller must then call finish after unlocking mu. Caller must hold mu.
func (p *Workers) shrink(n int) (last bool) {
	p.alive -= n
	if p.alive > 0 || p.stage == workersOpen || p.ended {
		return false
	}
	p.ended = true
	p.meter.Close()
	return true
}

// dismiss releases up to n idle workers, and returns the result of shrink. Caller must hold mu.
func (p *Workers) dismiss(n int) (last bool) {
	n = max(0, min(n, p.idlers))
	for range n {
		p.unpark().wake <- false
	}
	return p.shrink(n)
}
