package pools

import (
	"context"
	"iter"
	"sync"

	"github.com/poolgauge/poolgauge/internal/callsite"
)

const (
	minWindow  = 16
	maxWorkers = 1 << 20 // that a window is made for
)

// calls are those of one Map or ForEach. They are one job, which is submitted once for each item;
// each time that it runs it takes the next item. Loop is the goroutine of Map or ForEach.
type calls[T, R any] struct {
	scope
	fn        func(context.Context, T) (R, error)
	code      callsite.Func // of the program
	unordered bool          // results are not kept
	window    int           // how many items there may be in the ring

	mu      sync.Mutex   // guards what follows
	ring    []call[T, R] // its length is a power of two; it grows up to the window
	pulled  int          // items that were put into the ring
	begun   int          // of them
	freed   int          // of them, that have left the ring
	running int
	stopped bool  // no more are to begin
	err     error // the first of an unordered call
	wish    wish
	wake    chan struct{} // holds one, if wish has come true
}

// call is an item or the result of it.
type call[T, R any] struct {
	item  T
	value R
	err   error
	done  bool
}

// wish is what the loop waits for. It is woken once, when that has happened, and not for each item.
type wish uint8

const (
	nothingWanted wish = iota
	resultWanted       // the first in the ring
	roomWanted         // for half a window, so that the loop does not have to be woken for each item
	endWanted          // of all that has begun or may begin
)

// newCalls returns the calls of fn, in which code is the program's function.
func newCalls[T, R any](
	ctx context.Context, w *Workers, fn func(context.Context, T) (R, error), code callsite.Func,
) *calls[T, R] {
	return &calls[T, R]{
		scope: w.newScope(ctx), fn: fn, code: code,
		window: max(minWindow, 4*min(w.Size(), maxWorkers)),
		ring:   make([]call[T, R], minWindow),
		wake:   make(chan struct{}, 1),
	}
}

// at returns the place of an item in the ring, by its number. Caller must hold mu.
func (c *calls[T, R]) at(i int) *call[T, R] { return &c.ring[i&(len(c.ring)-1)] }

// has reports whether a wish has come true. Caller must hold mu.
func (c *calls[T, R]) has(w wish) bool {
	switch w {
	case resultWanted:
		return c.at(c.freed).done
	case roomWanted:
		return c.stopped || c.pulled-c.freed <= c.window/2
	default:
		return c.running == 0 && (c.stopped || c.begun == c.pulled)
	}
}

// await blocks until a wish has come true or done is closed. Caller must hold mu.
func (c *calls[T, R]) await(w wish, done <-chan struct{}) {
	if c.has(w) {
		return
	}
	c.wish = w
	c.mu.Unlock()
	select {
	case <-c.wake:
		c.mu.Lock()
	case <-done:
		c.mu.Lock()
		if c.wish == nothingWanted {
			<-c.wake
		}
		c.wish = nothingWanted
	}
}

// wakeLoop wakes the loop if what it waits for is there. Caller must hold mu.
func (c *calls[T, R]) wakeLoop() {
	if c.wish != nothingWanted && c.has(c.wish) {
		c.wish = nothingWanted
		c.wake <- struct{}{}
	}
}

// loop submits the items and yields the results.
func (c *calls[T, R]) loop(items iter.Seq[T], yield func(R, error) bool) {
	defer c.abandon()
	for item := range items {
		if !c.yieldWhile(c.isDue, yield) {
			return
		}
		if !c.put(item) {
			break
		}
	}
	c.yieldWhile(c.isBusy, yield)
}

// yieldWhile yields results. It reports false if the loop was left.
func (c *calls[T, R]) yieldWhile(more func() bool, yield func(R, error) bool) bool {
	for more() {
		if !yield(c.next()) {
			return false
		}
	}
	return true
}

// put submits an item. It reports false if no more are wanted. There must be room.
func (c *calls[T, R]) put(item T) bool {
	c.mu.Lock()
	if c.pulled-c.freed == len(c.ring) {
		c.grow()
	}
	c.at(c.pulled).item = item
	c.pulled++
	c.mu.Unlock()
	err := c.pool.submit(c.outside, c, c.tasks)
	if err == nil {
		return true
	}
	if cause := c.cause(); cause != nil {
		err = cause
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(c.pulled-1, call[T, R]{err: err}) // no run takes it: there is one for each of the others
	return false
}

// grow doubles the ring. Caller must hold mu.
func (c *calls[T, R]) grow() {
	small := c.ring
	c.ring = make([]call[T, R], 2*len(small))
	for i := c.freed; i < c.pulled; i++ {
		*c.at(i) = small[i&(len(small)-1)]
	}
}

// run is the job: one call. A panic is passed on to the worker, which counts and reports it.
func (c *calls[T, R]) run(ctx context.Context) error {
	i, item, ok := c.takeItem()
	if !ok {
		return c.cause()
	}
	returned := false
	defer func() {
		if !returned {
			value := recover()
			err := newPanicError(c.pool.name, value)
			c.callDone(i, call[T, R]{err: err})
			if value != nil {
				panic(err)
			}
		}
	}()
	value, err := c.fn(ctx, item)
	returned = true
	c.callDone(i, call[T, R]{value: value, err: err})
	return err
}

func (c *calls[T, R]) function() callsite.Func { return c.code }

// drop is called instead of run if Close dropped the job: Close ends the context, too.
func (c *calls[T, R]) drop() {}

// takeItem takes the next item, and returns its number.
func (c *calls[T, R]) takeItem() (i int, item T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outside.Err() != nil {
		c.stopped = true
	}
	if c.stopped || c.begun == c.pulled {
		c.wakeLoop()
		return 0, item, false
	}
	i = c.begun
	at := c.at(i)
	item = at.item
	*at = call[T, R]{} // for the garbage collector
	c.begun++
	c.running++
	if c.unordered {
		c.freed = c.begun
		c.wakeLoop()
	}
	return i, item, true
}

// callDone ends a call that has begun.
func (c *calls[T, R]) callDone(i int, result call[T, R]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.keep(i, result)
	c.wakeLoop()
}

// keep stores a result. Caller must hold mu.
func (c *calls[T, R]) keep(i int, result call[T, R]) {
	if !c.unordered {
		result.done = true
		*c.at(i) = result
		return
	}
	if result.err != nil && c.err == nil {
		c.err, c.stopped = result.err, true
		c.cancel(result.err)
	}
}

// isDue reports whether a result must or can be yielded before an item is pulled.
func (c *calls[T, R]) isDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pulled-c.freed >= c.window || c.pulled > c.freed && c.at(c.freed).done
}

// isBusy reports whether there are results to come.
func (c *calls[T, R]) isBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pulled > c.freed
}

// next takes the first result out of the ring, and waits for it first. It does not wait for a call
// that has not begun when the context has ended.
func (c *calls[T, R]) next() (R, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.await(resultWanted, c.outside.Done())
	at := c.at(c.freed)
	if !at.done {
		c.stopped = true
		if c.begun <= c.freed {
			at.err = c.cause()
		} else {
			c.await(resultWanted, nil)
			at = c.at(c.freed)
		}
	}
	result := *at
	*at = call[T, R]{}
	c.freed++
	return result.value, result.err
}

// hasRoom waits for room for an item. It reports false if no more are wanted.
func (c *calls[T, R]) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulled-c.freed >= c.window {
		c.await(roomWanted, c.outside.Done())
	}
	if c.outside.Err() != nil {
		c.stopped = true
	}
	return !c.stopped
}

// drain waits until all calls of an unordered one have ended, and returns the first error. It does
// not wait for those that have not begun when the context has ended.
func (c *calls[T, R]) drain() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.await(endWanted, c.outside.Done())
	if c.begun < c.pulled {
		c.stopped = true
	}
	c.await(endWanted, nil)
	if c.stopped && c.err == nil {
		c.err = c.cause()
	}
	return c.err
}

// abandon waits for the calls that run, whose context it ends, and keeps others from starting.
func (c *calls[T, R]) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.close(nil)
	c.await(endWanted, nil)
	c.ring = nil // jobs that are still queued hold c
}
