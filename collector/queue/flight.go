package queue

import (
	"context"
	"slices"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Flight is what is on its way to the upstream: consecutive batches of one signal, the oldest of the queue. It is used by one goroutine.
type Flight struct {
	Batches []otlp.Batch // oldest first, at least one; not to be changed

	q       *Queue
	entries []*entry // of Batches
	left    int      // batches that are not settled
}

// Take waits for the oldest batches: as many of one signal as have maxBytes of data together, and at least one. There is one flight at a time,
// which ends when all of its batches are settled or with [Flight.Return]; until then Take waits.
//
// It fails with ctx's error, also while a disk that hangs is to give the data back, and with [ErrClosed].
// A batch that cannot be read again is dropped and counted as damaged.
func (q *Queue) Take(ctx context.Context, maxBytes int64) (*Flight, error) {
	for {
		f, marked, err := q.take(maxBytes)
		if err != nil {
			return nil, err
		}
		if f != nil {
			<-marked
			if err := f.load(ctx); err != nil {
				return nil, err
			}
			if len(f.Batches) > 0 {
				return f, nil
			}
			continue
		}
		select {
		case <-q.ready:
		case <-q.closing:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take begins a flight, if it can, and returns what is closed when the disk knows of it.
func (q *Queue) take(maxBytes int64) (f *Flight, marked <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, nil, ErrClosed
	}
	if q.flight != nil {
		return nil, nil, nil
	}
	f = &Flight{q: q, entries: q.pickLocked(maxBytes)}
	if len(f.entries) == 0 {
		return nil, nil, nil
	}
	q.flight = f
	marked = never
	for _, e := range f.entries {
		if e.state == queued {
			q.setLocked(e, inFlight)
			if q.disk != nil {
				marked = q.disk.writtenLocked()
			}
		}
	}
	return f, marked, nil
}

// pickLocked takes the next flight out of the list.
func (q *Queue) pickLocked(maxBytes int64) (entries []*entry) {
	for e := q.list.first; e != nil && e.accepted; e = q.list.first {
		if e.state != done {
			maxBytes -= int64(e.length)
			if len(entries) > 0 && (maxBytes < 0 || e.signal != entries[0].signal) {
				break
			}
			entries = append(entries, e)
		}
		q.list.popFront()
	}
	return entries
}

// load fills Batches with the entries' data, reading what is not in memory. If ctx is done first the flight returns when the disk allows.
func (f *Flight) load(ctx context.Context) error {
	missing := f.pin()
	if len(missing) == 0 {
		f.fill()
		return nil
	}
	loaded := make(chan struct{})
	abandoned := make(chan struct{})
	go func() {
		f.read(missing)
		select {
		case loaded <- struct{}{}:
		case <-abandoned:
			f.Return()
		}
	}()
	select {
	case <-loaded:
		f.fill()
		return nil
	case <-ctx.Done():
		close(abandoned)
		return ctx.Err()
	case <-f.q.closing:
		close(abandoned)
		return ErrClosed
	}
}

// place is where the data of an entry is.
type place struct {
	*entry

	seg    *segment
	offset int64
}

// pin returns the entries whose data is not in memory. Their segments stay open until [Flight.read] is through with them.
func (f *Flight) pin() (missing []place) {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	for _, e := range f.entries {
		if e.data == nil && e.state != done {
			e.seg.pins++
			missing = append(missing, place{e, e.seg, e.offset})
		}
	}
	return missing
}

func (f *Flight) read(missing []place) {
	for _, p := range missing {
		data, err := p.seg.read(p.offset, p.length)
		f.q.mu.Lock()
		f.q.disk.unpinLocked(p.seg)
		if err == nil {
			p.data = data
		} else {
			f.q.disk.unreadableLocked(p.entry, err)
		}
		f.q.mu.Unlock()
	}
}

// fill makes Batches of the entries that have data, and forgets those that were found damaged.
func (f *Flight) fill() {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	f.entries = slices.DeleteFunc(f.entries, func(e *entry) bool { return e.state == done })
	for _, e := range f.entries {
		f.Batches = append(f.Batches, otlp.Batch{Signal: e.signal, Points: e.points, Data: e.data})
		e.releaseLocked()
	}
	f.left = len(f.entries)
	f.endLocked()
}

// Settle says that batch i has come to its end, sent or refused for good: the queue forgets it. Doing so again, or after Return, does nothing.
func (f *Flight) Settle(i int) {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	if e := f.entries[i]; e.state != done && f.q.flight == f {
		f.q.doneLocked(e)
		f.left--
		f.endLocked()
	}
}

// endLocked ends the flight if all of its batches are settled.
func (f *Flight) endLocked() {
	if f.left == 0 {
		f.q.flight = nil
		f.q.notify()
	}
}

// Return puts what is not settled back to where it was, and ends the flight. It does nothing if the flight has ended.
func (f *Flight) Return() {
	q := f.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flight != f {
		return
	}
	for i := len(f.entries) - 1; i >= 0; i-- {
		e := f.entries[i]
		switch {
		case e.state == done:
		case e.doomed:
			q.points[e.signal].Full += e.points
			q.doneLocked(e)
		default:
			e.releaseLocked()
			q.list.pushFront(e)
		}
	}
	q.flight = nil
	q.notify()
}

// doomLocked makes the oldest batches of the flight give their room away until the rest is within the limit.
func (f *Flight) doomLocked() {
	for _, e := range f.entries {
		if f.q.usage <= f.q.limit {
			return
		}
		if e.state != done && !e.doomed {
			e.doomed = true
			f.q.usage -= e.size()
		}
	}
}

// oldestLocked returns the oldest batch that is not done, nil if there is none.
func (q *Queue) oldestLocked() *entry {
	if q.flight != nil {
		for _, e := range q.flight.entries {
			if e.state != done {
				return e
			}
		}
	}
	for e := q.list.first; e != nil; e = e.next {
		if e.state != done {
			return e
		}
	}
	return nil
}
