package pools

import (
	"context"
	"runtime/pprof"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// worker is one slot of the pool. Its goroutine owns it, but for what is said.
type worker struct {
	wake   chan struct{}     // made when it first parks; closed to dismiss it
	woken  bool              // Workers.waking is set for it
	busy   bool              // it has a task that has not been ended
	use    taskStamp         // of that task
	ending instrument.Ending // of that task, once it is known
}

// work is the goroutine of a worker. A task that calls runtime.Goexit ends the goroutine, but not the worker.
func (p *Workers) work(w *worker) {
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
		retired = p.serve(w)
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
			return true
		}
		w.ending = instrument.OK
		var err error
		if p.config.TaskTimeout == 0 {
			err = task(p.ctx)
		} else {
			err = p.runTimed(task)
		}
		if err != nil {
			w.ending = instrument.Failed
		}
	}
}

// runTimed runs a task that has a deadline.
func (p *Workers) runTimed(task Task) error {
	ctx, cancel := context.WithTimeout(p.ctx, p.config.TaskTimeout)
	defer cancel()
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

// next ends the task of w, if it has one, and returns the next; nil if w is to retire.
func (p *Workers) next(w *worker) Task {
	var now time.Duration
	if w.use.at != 0 {
		now = instrument.Now()
	}
	p.mu.Lock()
	if w.busy {
		w.busy = false
		p.ledger.end(w.use, w.ending, now)
		w.use = taskStamp{}
	}
	for {
		if w.woken {
			w.woken = false
			p.waking = false
		}
		switch {
		case p.alive > p.limit, p.queue.n == 0 && p.stage != workersOpen:
			p.alive--
			p.finish()
			p.release()
			return nil
		case p.queue.n > 0:
			e := p.queue.pop()
			w.busy = true
			w.use = p.ledger.start(e.asked)
			if p.blocked.first != nil {
				p.admit()
			}
			p.release()
			return e.task
		}
		if !p.park(w) {
			return nil
		}
	}
}

// park makes w idle until it is woken; it reports false if w was dismissed instead. It unlocks mu, which the caller must hold, and
// locks it again if w was woken.
func (p *Workers) park(w *worker) (woken bool) {
	if w.wake == nil {
		w.wake = make(chan struct{}, 1)
	}
	p.idle = append(p.idle, w)
	p.trimLater()
	p.mu.Unlock()
	if _, woken = <-w.wake; woken {
		p.mu.Lock()
	}
	return woken
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
	return p.waking || p.queue.n == 0 || len(p.idle) == 0 && p.alive >= p.limit
}

// rouse wakes or starts a worker. It unlocks mu, which the caller must hold.
func (p *Workers) rouse() {
	p.waking = true
	last := len(p.idle) - 1
	if last < 0 {
		p.alive++
		p.goroutines.Add(1)
		p.mu.Unlock()
		go p.work(&worker{woken: true})
		return
	}
	w := p.idle[last]
	p.idle = p.idle[:last]
	p.lowest = min(p.lowest, last)
	w.woken = true
	p.mu.Unlock()
	w.wake <- struct{}{}
}

// dismiss takes the n workers that have been idle for longest off the pool, fewer if there are not as many. Caller must hold mu, and
// pass what it gets to wakeAll when it has unlocked it.
func (p *Workers) dismiss(n int) []*worker {
	n = max(0, min(n, len(p.idle)))
	if n == 0 {
		return nil
	}
	gone := append([]*worker(nil), p.idle[:n]...)
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	p.lowest = min(p.lowest, rest)
	p.alive -= n
	return gone
}

// wakeAll tells workers that they were dismissed.
func wakeAll(dismissed []*worker) {
	for _, w := range dismissed {
		close(w.wake)
	}
}

// trimLater sets the idle timer, unless it is set. Caller must hold mu.
func (p *Workers) trimLater() {
	if p.trims {
		return
	}
	p.trims = true
	p.lowest = len(p.idle)
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
	p.mu.Lock()
	p.trims = false
	if p.stage != workersOpen {
		p.mu.Unlock()
		return
	}
	released := p.dismiss(p.lowest)
	if len(p.idle) > 0 {
		p.trimLater()
	}
	p.release()
	wakeAll(released)
}
