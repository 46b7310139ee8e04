package pools

import (
	"context"
	"iter"
	"sync"

	"github.com/poolgauge/poolgauge/internal/callsite"
)

const (
	minWindow  = 16
	maxWorkers = 1 << 20 // workers beyond this number do not enlarge the window
)

// calls tracks the calls to fn made by one Map or ForEach. They share one job, which is submitted
// once for each item; each run of the job takes the next item. The goroutine that called Map or
// ForEach is called the loop.
type calls[T, R any] struct {
	scope
	fn        func(context.Context, T) (R, error)
	code      callsite.Func // identifies the function that was passed to Map or ForEach
	unordered bool          // results are not kept
	window    int           // maximum number of items in the ring

	mu      sync.Mutex   // guards everything below
	ring    []call[T, R] // grows up to window; its length is a power of two
	pulled  int          // number of items that have been put into the ring
	begun   int          // number of items whose call has started
	freed   int          // number of items that have left the ring
	running int
	stopped bool  // no more calls may start
	err     error // the first error of an unordered call
	awaited condition
	wake    chan struct{} // receives a value when awaited is met
}

// call holds an item until fn is called for it, and the result after the call.
type call[T, R any] struct {
	item  T
	value R
	err   error
	done  bool
}

// condition is what the loop waits for. The loop is woken once, when the condition is met, rather
// than once per item.
type condition uint8

const (
	noCondition   condition = iota // the loop is not waiting
	resultReady                    // the first call in the ring has returned
	roomAvailable                  // half of the window is free, so that the loop is not woken for each item
	callsEnded                     // no call is running or still to be started
)

// newCalls returns calls for fn. code identifies the function that was passed to Map or ForEach.
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

// at returns the ring's element for item number i. Caller must hold mu.
func (c *calls[T, R]) at(i int) *call[T, R] { return &c.ring[i&(len(c.ring)-1)] }

// isMet reports whether cond is met. Caller must hold mu.
func (c *calls[T, R]) isMet(cond condition) bool {
	switch cond {
	case resultReady:
		return c.at(c.freed).done
	case roomAvailable:
		return c.stopped || c.pulled-c.freed <= c.window/2
	default:
		return c.running == 0 && (c.stopped || c.begun == c.pulled)
	}
}

// await blocks until cond is met or done is closed. Caller must hold mu, which await releases while
// it blocks.
func (c *calls[T, R]) await(cond condition, done <-chan struct{}) {
	if c.isMet(cond) {
		return
	}
	c.awaited = cond
	c.mu.Unlock()
	select {
	case <-c.wake:
		c.mu.Lock()
	case <-done:
		c.mu.Lock()
		if c.awaited == noCondition {
			<-c.wake
		}
		c.awaited = noCondition
	}
}

// wakeLoop wakes the loop if the condition that it waits for is met. Caller must hold mu.
func (c *calls[T, R]) wakeLoop() {
	if c.awaited != noCondition && c.isMet(c.awaited) {
		c.awaited = noCondition
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
	c.yieldWhile(c.hasMore, yield)
}

// yieldWhile yields results while more returns true. It returns false if yield returned false, that
// is, if the caller's loop ended early.
func (c *calls[T, R]) yieldWhile(more func() bool, yield func(R, error) bool) bool {
	for more() {
		if !yield(c.next()) {
			return false
		}
	}
	return true
}

// put submits item, for which the window must have room. It reports whether more items may follow.
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
	c.keep(c.pulled-1, call[T, R]{err: err}) // no run will take this item: it was not submitted
	return false
}

// grow doubles the ring. Caller must hold mu.
func (c *calls[T, R]) grow() {
	old := c.ring
	c.ring = make([]call[T, R], 2*len(old))
	for i := c.freed; i < c.pulled; i++ {
		*c.at(i) = old[i&(len(old)-1)]
	}
}

// run implements job. It calls fn for the next item. It propagates a panic to the worker, which
// counts and reports it.
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

// drop implements job. It does nothing, since Close also cancels the context, which ends the loop.
func (c *calls[T, R]) drop() {}

// takeItem returns the next item to run, with its number. ok is false if there is none.
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
	*at = call[T, R]{} // so that the item can be garbage-collected
	c.begun++
	c.running++
	if c.unordered {
		c.freed = c.begun
		c.wakeLoop()
	}
	return i, item, true
}

// callDone records the end of the call for item number i.
func (c *calls[T, R]) callDone(i int, result call[T, R]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.keep(i, result)
	c.wakeLoop()
}

// keep stores the result for item number i or, if the calls are unordered, only the first error.
// Caller must hold mu.
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

// isDue reports whether the loop should yield a result before it pulls the next item.
func (c *calls[T, R]) isDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pulled-c.freed >= c.window || c.pulled > c.freed && c.at(c.freed).done
}

// hasMore reports whether results remain to be yielded.
func (c *calls[T, R]) hasMore() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pulled > c.freed
}

// next waits for the first result in the ring, removes it and returns it. Once the context is done,
// it does not wait for a call that has not started.
func (c *calls[T, R]) next() (R, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.await(resultReady, c.outside.Done())
	at := c.at(c.freed)
	if !at.done {
		c.stopped = true
		if c.begun <= c.freed {
			at.err = c.cause()
		} else {
			c.await(resultReady, nil)
			at = c.at(c.freed)
		}
	}
	result := *at
	*at = call[T, R]{}
	c.freed++
	return result.value, result.err
}

// hasRoom waits until the window has room for an item. It returns false if no more items should be
// submitted.
func (c *calls[T, R]) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulled-c.freed >= c.window {
		c.await(roomAvailable, c.outside.Done())
	}
	if c.outside.Err() != nil {
		c.stopped = true
	}
	return !c.stopped
}

// drain waits until all calls of a ForEach have ended, and returns the first error. Once the
// context is done, it does not wait for calls that have not started.
func (c *calls[T, R]) drain() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.await(callsEnded, c.outside.Done())
	if c.begun < c.pulled {
		c.stopped = true
	}
	c.await(callsEnded, nil)
	if c.stopped && c.err == nil {
		c.err = c.cause()
	}
	return c.err
}

// abandon prevents further calls from starting, cancels the context of running calls, and waits
// until they have ended.
func (c *calls[T, R]) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.close(nil)
	c.await(callsEnded, nil)
	c.ring = nil // jobs that are still queued keep c alive
}
