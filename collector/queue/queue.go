package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Overhead is the number of bytes that a batch counts toward the limit in addition to its data. It
// is the size of a record's header.
const Overhead = recordSize

// Errors returned by this package, besides [TooLargeError].
var (
	ErrClosed   = errors.New("queue is closed")
	ErrFull     = errors.New("queue is full")
	ErrUnsynced = errors.New("queue storage did not sync in time")

	errInUse   = errors.New("in use by another sidecar: use a separate directory for each")
	errForeign = errors.New("not a queue file: choose another directory, or move the file away")
	errDamaged = errors.New("damaged on disk")
	errSlow    = fmt.Errorf("a disk operation is taking longer than %v", slowAfter)
	errDeleted = errors.New("the directory or a file in it was deleted")
)

// TooLargeError reports a batch that is larger than its lane could ever hold.
type TooLargeError struct{ Size, Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("a batch of %d bytes exceeds the maximum of %d bytes for its lane", e.Size, e.Limit)
}

// Config configures a queue.
type Config struct {
	Dir   string // created if it does not exist; empty: in memory
	Limit int64  // maximum size in bytes of all batches, [Overhead] included; must be positive
	Lanes []Lane // lanes in use; each has a reserved share of Limit; empty: all
	Fresh []Lane // lanes in which the backlog comes after batches put since the upstream recovered
	// If 0, Put returns only once the batch would survive power loss. Otherwise, the batch is
	// synced after at most this time, if the disk keeps up.
	Sync time.Duration
	Log  *slog.Logger

	files     files         // for tests
	slowAfter time.Duration // for tests
}

// Queue is a bounded queue of batches in lanes. It is safe for concurrent use.
type Queue struct {
	limit   int64
	disk    *disk         // nil: in memory
	closing chan struct{} // closed by Close

	// mu guards everything below, all lanes and entries, and the fields of disk and segment whose
	// comments say so. It is never held during I/O, except to write a log line; the log handler
	// must not block.
	mu     sync.Mutex
	closed bool
	lanes  []*lane // by [Lane]; the first is Lane 1
	order  int64   // order of the newest batch
	first  int64   // one less than the order of the oldest batch ever
}

// Open opens the queue in c.Dir. Batches that an earlier process left there precede all batches put
// from now on.
//
// Open fails if another process uses the directory, or if the directory contains a foreign file or
// a segment written by a newer release. A disk that is full, read-only or failing is not an error:
// the queue starts in memory, and the batches on disk are added when the disk recovers. The caller
// must call Close.
func Open(c Config) (*Queue, error) {
	if c.Limit <= 0 {
		return nil, fmt.Errorf("queue limit: expected a positive number of bytes, got %d", c.Limit)
	}
	q := &Queue{limit: c.Limit, closing: make(chan struct{})}
	for _, id := range Lanes() {
		l := &lane{id: id, ready: make(chan struct{}, 1), fresh: slices.Contains(c.Fresh, id)}
		if len(c.Lanes) != 1 && (len(c.Lanes) == 0 || slices.Contains(c.Lanes, id)) {
			l.reserve = c.Limit / reserveDivisor
		}
		q.lanes = append(q.lanes, l)
	}
	if c.Dir == "" {
		c.Log.Info("queue is in memory only: items still queued at exit are lost")
		return q, nil
	}
	if c.files == nil {
		c.files = directory(c.Dir)
	}
	q.disk = newDisk(q, c)
	if err := q.disk.start(); err != nil {
		return nil, fmt.Errorf("queue directory %s: %w", c.Dir, err)
	}
	return q, nil
}

// laneOf returns the state of the given lane, or nil if there is no such lane.
func (q *Queue) laneOf(id Lane) *lane {
	if id < 1 || int(id) > len(q.lanes) {
		return nil
	}
	return q.lanes[id-1]
}

// Put adds the batch b to the given lane, and returns once b is as durable as [Config.Sync]
// requires. Until ctx is done, it waits for room, in order with other calls, and for the disk; Put
// to [Own] waits for neither. The queue owns b.Data afterwards.
//
// Put returns a [*TooLargeError] if the lane could never hold b, [ErrClosed] if the queue is
// closed, [ErrFull] if there was no room in time, and [ErrUnsynced] if b was not synced in time. If
// ctx was already done, Put returns ctx.Err(). On an error, the queue is unchanged. Concurrent
// calls share writes and syncs.
func (q *Queue) Put(ctx context.Context, id Lane, b otlp.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l := q.laneOf(id)
	if l == nil {
		return fmt.Errorf("unknown lane %d", id)
	}
	size := Overhead + int64(len(b.Data))
	if limit := min(q.maxSize(l), math.MaxUint32); size > limit {
		return &TooLargeError{size, limit}
	}
	if err := q.waitForRoom(ctx, l, size); err != nil {
		return err
	}
	e := newEntry(l, b, time.Now())
	if err := q.add(e); err != nil {
		return err
	}
	return q.awaitAccepted(ctx, e)
}

// maxSize returns the maximum size of a batch in l.
func (q *Queue) maxSize(l *lane) int64 {
	size := q.limit
	for _, other := range q.lanes {
		if other != l {
			size -= other.reserve
		}
	}
	return size
}

// add puts e into its lane, whose usage must already include e.
func (q *Queue) add(e *entry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		e.lane.usage -= e.size()
		return ErrClosed
	}
	q.order++
	e.order = q.order
	e.lane.waiting.pushBack(e)
	if q.disk != nil {
		q.disk.addLocked(e)
	}
	if q.disk == nil || e.lane.id == Own {
		q.acceptLocked(e)
	}
	return nil
}

// awaitAccepted waits until e is accepted. It withdraws e if ctx is done first, or if the queue is
// closed and its goroutines have stopped.
func (q *Queue) awaitAccepted(ctx context.Context, e *entry) error {
	for {
		q.mu.Lock()
		if e.accepted {
			q.mu.Unlock()
			return nil
		}
		if e.state == done { // the record had to be moved but could not be read back
			q.mu.Unlock()
			return ErrUnsynced
		}
		accepted := e.group.accepted
		q.mu.Unlock()
		select {
		case <-accepted:
		case <-ctx.Done():
			return q.withdraw(e, ErrUnsynced)
		case <-q.closing:
			select {
			case <-accepted:
			case <-q.disk.ended:
				return q.withdraw(e, ErrClosed)
			case <-ctx.Done():
				return q.withdraw(e, ErrUnsynced)
			}
		}
	}
}

// withdraw removes e and returns reason, unless e was accepted in the meantime.
func (q *Queue) withdraw(e *entry, reason error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.accepted {
		return nil
	}
	e.lane.usage -= e.size()
	q.setLocked(e, done)
	e.data = nil
	q.grantLocked()
	e.lane.notify() // later batches may have been waiting behind e
	return reason
}

// acceptLocked marks e as accepted: its Put may return, and Take may return e.
func (q *Queue) acceptLocked(e *entry) {
	if e.accepted || e.state == done {
		return
	}
	e.accepted = true
	e.group = nil
	e.lane.points.Accepted += e.points
	e.lane.points.Queued += e.points
	e.lane.bytes += int64(e.length)
	e.lane.notify()
}

// doneLocked marks e as done and subtracts it from the lane's totals; e may still be in a list. The
// caller must then call grantLocked.
func (q *Queue) doneLocked(e *entry) {
	if !e.evicted {
		e.lane.usage -= e.size()
	}
	if e.accepted {
		e.lane.points.Queued -= e.points
	}
	q.setLocked(e, done)
	e.data = nil
}

func (q *Queue) setLocked(e *entry, s state) {
	e.state = s
	if q.disk != nil {
		q.disk.changedLocked(e)
	}
}

// dropDamagedLocked drops e, whose record cannot be read back.
func (q *Queue) dropDamagedLocked(e *entry) {
	if e.state != done {
		if e.accepted {
			e.lane.points.Damaged += e.points
		}
		q.doneLocked(e)
		q.grantLocked()
	}
}

// Close closes the queue. Calls waiting in Put or Take return [ErrClosed]. Queued batches stay on
// disk for the next [Open]. Those that belong to a flight and are not settled stay marked as in
// flight. Close waits for the disk until ctx is done, and returns an error if batches are lost
// because they were only in memory.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	close(q.closing)
	q.mu.Unlock()
	if q.disk == nil {
		return q.lossError(nil)
	}
	return q.disk.close(ctx)
}

// lossError returns an error if accepted batches are only in memory. cause is why they are not on
// disk, or nil if the queue has no directory.
func (q *Queue) lossError(cause error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batches, points int64
	for _, l := range q.lanes {
		l.entriesLocked(false, func(e *entry) {
			if e.accepted && e.seg == nil {
				batches++
				points += e.points
			}
		})
	}
	switch {
	case batches == 0:
		return nil
	case cause == nil:
		return fmt.Errorf("lost %d item(s): the queue was in memory only", points)
	}
	return fmt.Errorf("lost %d item(s) that were in memory only: %w", points, cause)
}
