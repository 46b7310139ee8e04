package pools

import (
	"sync"

	"github.com/poolgauge/poolgauge/internal/measure"
)

// waiter is a caller that waits for an answer from a pool. Ask describes the request, and Answer
// the pool's answer.
type waiter[Ask, Answer any] struct {
	ask    Ask
	answer chan Answer // has room for one answer, so that the pool never blocks
	wait   measure.Span
	waited measure.Waited // set once the waiter was answered or gave up
	number uint64         // sequence number of arrival

	queue      *waitQueue[Ask, Answer] // queue that contains the waiter; nil once it was answered or gave up
	prev, next *waiter[Ask, Answer]
}

// waitQueue is a queue of waiters in order of arrival. The pool's lock guards it.
type waitQueue[Ask, Answer any] struct {
	first, last *waiter[Ask, Answer]
	length      int
}

// push appends w.
func (l *waitQueue[Ask, Answer]) push(w *waiter[Ask, Answer]) {
	w.queue, w.prev, w.next = l, l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.length++
}

// remove removes w, which must be in l.
func (l *waitQueue[Ask, Answer]) remove(w *waiter[Ask, Answer]) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queue, w.prev, w.next = nil, nil, nil
	l.length--
}

// waiters recycles waiters, so that waiting does not allocate. A waiter may be put back once it has
// received its answer or has been removed from the queue. Each pool has its own waiters, since a
// channel created in a bubble of testing/synctest must not be used outside it.
type waiters[Ask, Answer any] struct{ pool sync.Pool }

func (p *waiters[Ask, Answer]) get() *waiter[Ask, Answer] {
	if w, ok := p.pool.Get().(*waiter[Ask, Answer]); ok {
		return w
	}
	return &waiter[Ask, Answer]{answer: make(chan Answer, 1)}
}

func (p *waiters[Ask, Answer]) put(w *waiter[Ask, Answer]) {
	var zero Ask
	w.ask, w.waited = zero, measure.Waited{} // so that what ask refers to can be garbage-collected
	p.pool.Put(w)
}
