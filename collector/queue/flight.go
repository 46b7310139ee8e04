package queue

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Flight is a sequence of batches of one lane, oldest first, that are being sent to the upstream.
// It is not safe for concurrent use.
type Flight struct {
	q       *Queue
	lane    *lane
	entries []*entry
	data    [][]byte // data of each entry
	left    int      // batches not yet settled
	ended   bool
}

// Len returns the number of batches, which is at least one.
func (f *Flight) Len() int { return len(f.entries) }

// Range returns the data of the batches from i up to but not including j, oldest first, and the
// number of their points. Concatenated, the data is one valid request, because protobuf merges
// concatenated messages. The caller must not modify the data.
func (f *Flight) Range(i, j int) (data [][]byte, points int64) {
	for _, e := range f.entries[i:j] {
		points += e.points
	}
	return f.data[i:j:j], points
}

// Size returns the size in bytes of the batches from i up to but not including j.
func (f *Flight) Size(i, j int) (bytes int64) {
	for _, b := range f.data[i:j] {
		bytes += int64(len(b))
	}
	return bytes
}

// Old reports whether the flight's batches belong to the backlog: they were put before the upstream
// last recovered.
func (f *Flight) Old() bool { return f.entries[0].old }

// Oldest returns when the first batch was put.
func (f *Flight) Oldest() time.Time { return time.Unix(0, f.entries[0].time) }

// Take waits until the given lane has batches, and returns the oldest as a Flight: as many as fit
// into maxBytes, but at least one. A lane may have several flights; each flight ends when all of
// its batches are settled, or when [Flight.Return] is called.
//
// Take returns [ErrClosed] once the queue is closed. If ctx is done while Take waits for a batch or
// for the disk to read one, it returns ctx.Err(). A batch that cannot be read back is dropped and
// counted as damaged.
func (q *Queue) Take(ctx context.Context, id Lane, maxBytes int64) (*Flight, error) {
	return q.TakeUntil(ctx, nil, id, maxBytes)
}

// ErrNothing is returned by [Queue.TakeUntil] if there is nothing to take.
var ErrNothing = errors.New("the lane has no batch to take")

// TakeUntil is like [Queue.Take], but once the channel stop is closed, it returns [ErrNothing]
// instead of waiting for a batch.
func (q *Queue) TakeUntil(ctx context.Context, stop <-chan struct{}, id Lane, maxBytes int64) (*Flight, error) {
	l := q.lanes[id-1]
	for {
		f, marked, err := q.take(l, maxBytes)
		if err != nil {
			return nil, err
		}
		if f != nil {
			<-marked
			if err := f.load(ctx); err != nil {
				return nil, err
			}
			if len(f.entries) > 0 {
				return f, nil
			}
			continue
		}
		select {
		case <-l.ready:
		case <-q.closing:
		case <-stop:
			return nil, ErrNothing
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// closedChannel is a channel that is closed: receiving from it does not block.
var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// take returns a new flight, or nil if the lane has no batch to take. marked is closed once the
// flight is recorded on disk.
func (q *Queue) take(l *lane, maxBytes int64) (f *Flight, marked <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, nil, ErrClosed
	}
	f = &Flight{q: q, lane: l, entries: l.pickLocked(maxBytes)}
	if len(f.entries) == 0 {
		return nil, nil, nil
	}
	l.flights = append(l.flights, f)
	if l.nextLocked() != nil {
		l.notify() // for other callers of Take
	}
	marked = closedChannel
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

// pickLocked removes the batches of the next flight from their list and returns them.
func (l *lane) pickLocked(maxBytes int64) (entries []*entry) {
	from := l.nextLocked()
	if from == nil {
		return nil
	}
	for e := from.first; e != nil && e.accepted; e = from.first {
		if e.state != done {
			maxBytes -= int64(e.length)
			if len(entries) > 0 && maxBytes < 0 {
				break
			}
			e.flying = true
			entries = append(entries, e)
		}
		from.popFront()
	}
	return entries
}

// load reads from disk those batches that are not in memory. If ctx is done first, the flight is
// returned to the queue as soon as the disk responds.
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

// place is the location of an entry's data on disk.
type place struct {
	*entry

	seg    *segment
	offset int64
}

// pin returns the places of the entries whose data is not in memory. It keeps the segments open
// until [Flight.read] has read these entries.
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
		_, data, err := p.seg.read(p.offset, p.length)
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

// fill copies the entries' data to f.data, and removes entries that turned out to be damaged.
func (f *Flight) fill() {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	f.entries = slices.DeleteFunc(f.entries, func(e *entry) bool { return e.state == done })
	f.data = make([][]byte, len(f.entries))
	for i, e := range f.entries {
		f.data[i] = e.data
		e.releaseLocked()
	}
	f.left = len(f.entries)
	f.endLocked()
}

// Settle removes batch i from the queue, because it was sent or permanently rejected. It does
// nothing if the batch was already settled or the flight has ended.
func (f *Flight) Settle(i int) {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	if e := f.entries[i]; e.state != done && !f.ended {
		f.q.doneLocked(e)
		f.left--
		f.endLocked()
		f.q.grantLocked()
	}
}

// endLocked ends the flight if all of its batches are settled.
func (f *Flight) endLocked() {
	if f.left == 0 && !f.ended {
		f.ended = true
		f.lane.flights = slices.DeleteFunc(f.lane.flights, func(other *Flight) bool { return other == f })
	}
}

// Return puts the batches that are not settled back in their places in the queue, and ends the
// flight. It does nothing if the flight has ended.
func (f *Flight) Return() {
	q := f.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if f.ended {
		return
	}
	for i := len(f.entries) - 1; i >= 0; i-- {
		e := f.entries[i]
		e.flying = false
		switch {
		case e.state == done:
		case e.evicted:
			f.lane.points.Full += e.points
			q.doneLocked(e)
		case e.old:
			e.releaseLocked()
			f.lane.backlog.insert(e)
		default:
			e.releaseLocked()
			f.lane.waiting.insert(e)
		}
	}
	f.left = 0
	f.endLocked()
	q.grantLocked()
	f.lane.notify()
}
