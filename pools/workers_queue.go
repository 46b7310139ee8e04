package pools

import "time"

// workerEntry is a task that waits for a worker.
type workerEntry struct {
	task  Task
	asked taskStamp
}

// age returns how long the task has waited. If it was not timed, it is from now on, so that its age is known to one interval of
// reading; only queues of very short tasks have such entries.
func (e *workerEntry) age(now time.Duration) time.Duration {
	if e.asked == 0 {
		e.asked = stamp(now, 0)
	}
	return now - e.asked.at()
}

// workerQueue is a first-in first-out queue. The zero value is empty.
type workerQueue struct {
	ring []workerEntry // its length is a power of two; it grows
	head int           // index of the first entry
	n    int           // entries
}

// push appends an entry.
func (q *workerQueue) push(e workerEntry) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = e
	q.n++
}

func (q *workerQueue) grow() {
	ring := make([]workerEntry, max(16, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}

// pop removes the first entry. The queue must not be empty.
func (q *workerQueue) pop() workerEntry {
	at := &q.ring[q.head]
	e := *at
	at.task = nil // for the garbage collector
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return e
}

// first returns the first entry. The queue must not be empty.
func (q *workerQueue) first() *workerEntry {
	return &q.ring[q.head]
}

// workerCaller is a caller of Submit that is blocked.
type workerCaller struct {
	entry      workerEntry
	since      time.Duration // when it blocked, 0 if that was not timed
	answer     chan error    // of capacity 1; nil when the task was accepted
	prev, next *workerCaller
	waiting    bool
}

// workerCallers is a list of blocked callers, in their order.
type workerCallers struct {
	first, last *workerCaller
}

func (l *workerCallers) push(c *workerCaller) {
	c.waiting = true
	c.prev = l.last
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
}

// remove takes c, which must be waiting, off the list.
func (l *workerCallers) remove(c *workerCaller) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.waiting = nil, nil, false
}

// pop removes the first caller, nil if there is none.
func (l *workerCallers) pop() *workerCaller {
	c := l.first
	if c != nil {
		l.remove(c)
	}
	return c
}
