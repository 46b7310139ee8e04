package queue

import (
	"context"
	"slices"
)

// makeRoomLocked makes room for size bytes in l, and reports whether it succeeded. It may drop
// batches of lanes whose upstream is unreachable.
func (q *Queue) makeRoomLocked(l *lane, size int64) bool {
	for !q.fitsLocked(l, l.usage+size) {
		victim := q.victimLocked(l, size)
		if victim == nil {
			return false
		}
		q.dropLocked(victim)
	}
	return true
}

// fitsLocked reports whether l may use usage bytes, given what the other lanes use or have
// reserved.
func (q *Queue) fitsLocked(l *lane, usage int64) bool {
	for _, other := range q.lanes {
		if other != l {
			usage += max(other.usage, other.reserve)
		}
	}
	return usage <= q.limit
}

// victimLocked returns the batch to drop to make room for size bytes in l, or nil if no batch may
// be dropped. While the upstream is accepting batches of l, those of other lanes may be dropped
// only if the new batch would not fit even once l is empty.
func (q *Queue) victimLocked(l *lane, size int64) (victim *entry) {
	for _, other := range q.lanes {
		var droppable bool
		switch {
		case other == l:
			droppable = l.away || l.id == Own
		case other.away && other.usage > other.reserve:
			droppable = l.away || l.id != Own && !q.fitsLocked(l, size)
		}
		if !droppable {
			continue
		}
		if e := other.oldestLocked(true); e != nil && (victim == nil || e.order < victim.order) {
			victim = e
		}
	}
	return victim
}

// dropLocked drops e, or evicts it if it is in flight.
func (q *Queue) dropLocked(e *entry) {
	if e.flying {
		e.evicted = true
		e.lane.usage -= e.size()
		return
	}
	e.lane.points.Full += e.points
	q.doneLocked(e)
}

// shrinkLocked drops the oldest batches until the rest is within the limit. The limit may have been
// higher when the batches were put.
func (q *Queue) shrinkLocked() {
	for {
		var total int64
		var oldest *entry
		for _, l := range q.lanes {
			total += max(l.usage, l.reserve)
			if l.usage <= l.reserve {
				continue
			}
			if e := l.oldestLocked(true); e != nil && (oldest == nil || e.order < oldest.order) {
				oldest = e
			}
		}
		if total <= q.limit || oldest == nil {
			return
		}
		q.dropLocked(oldest)
	}
}

// waitForRoom waits, in FIFO order with other callers, for room for size bytes in l, and adds them
// to l's usage. It gives up when ctx is done.
func (q *Queue) waitForRoom(ctx context.Context, l *lane, size int64) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	if len(l.waiters) == 0 && q.makeRoomLocked(l, size) {
		l.usage += size
		q.mu.Unlock()
		return nil
	}
	if l.id == Own {
		q.mu.Unlock()
		return ErrFull
	}
	w := &waiter{size, make(chan struct{})}
	l.waiters = append(l.waiters, w)
	q.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		return q.stopWaiting(l, w, ErrFull)
	case <-q.closing:
		return q.stopWaiting(l, w, ErrClosed)
	}
}

// stopWaiting removes w from l's waiters and returns reason, or nil if w was granted room in the
// meantime.
func (q *Queue) stopWaiting(l *lane, w *waiter, reason error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(l.waiters, w)
	if i < 0 {
		return nil
	}
	l.waiters = slices.Delete(l.waiters, i, i+1)
	q.grantLocked() // a smaller request behind w may now fit
	return reason
}

// grantLocked grants room to waiters, in order within each lane.
func (q *Queue) grantLocked() {
	for _, l := range q.lanes {
		for len(l.waiters) > 0 && q.makeRoomLocked(l, l.waiters[0].size) {
			l.usage += l.waiters[0].size
			close(l.waiters[0].granted)
			l.waiters = slices.Delete(l.waiters, 0, 1)
		}
	}
}

// SetAway sets whether the upstream is unreachable for the given lane. If it is, the lane's oldest
// batches may be dropped when the queue is full. Initially every lane's upstream counts as
// reachable.
func (q *Queue) SetAway(id Lane, away bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lanes[id-1]
	if l.fresh && l.away && !away {
		l.backlog.append(&l.waiting)
	}
	l.away = away
	if away {
		q.grantLocked()
	}
}
