package pools

import (
	"sync"

	"github.com/poolgauge/poolgauge/internal/measure"
)

// waiter is a caller that waits for a pool: it asked for something and gets an answer.
type waiter[Ask, Answer any] struct {
	ask    Ask
	answer chan Answer // holds one, so that the pool never waits for the waiter
	wait   measure.Span
	number uint64 // in the order of arrival

	line       *line[Ask, Answer] // the one that it is in, nil once it was answered or left
	prev, next *waiter[Ask, Answer]
}

// line holds waiters in the order in which they came. The lock of the pool guards it.
type line[Ask, Answer any] struct {
	first, last *waiter[Ask, Answer]
	length      int
}

// push appends w.
func (l *line[Ask, Answer]) push(w *waiter[Ask, Answer]) {
	w.line, w.prev, w.next = l, l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.length++
}

// remove takes w, which must be in l, out of it.
func (l *line[Ask, Answer]) remove(w *waiter[Ask, Answer]) {
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
	w.line, w.prev, w.next = nil, nil, nil
	l.length--
}

// waiters keeps waiters for reuse, so that waiting does not allocate. A waiter may be put back once
// it has received its answer, or has left the line without one. It is part of a pool, and not
// shared by all, since a channel belongs to one bubble of testing/synctest.
type waiters[Ask, Answer any] struct{ pool sync.Pool }

func (p *waiters[Ask, Answer]) get() *waiter[Ask, Answer] {
	if w, ok := p.pool.Get().(*waiter[Ask, Answer]); ok {
		return w
	}
	return &waiter[Ask, Answer]{answer: make(chan Answer, 1)}
}

func (p *waiters[Ask, Answer]) put(w *waiter[Ask, Answer]) {
	var none Ask
	w.ask = none // for the garbage collector
	p.pool.Put(w)
}
