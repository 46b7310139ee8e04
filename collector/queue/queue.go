package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Overhead is what a batch counts against the limit besides its data: the size of its record's header.
const Overhead = recordSize

// The errors of this package, besides [TooLargeError].
var (
	ErrClosed = errors.New("queue is closed")

	errInUse   = errors.New("is in use by another sidecar: give each its own")
	errDamaged = errors.New("damaged on disk")
	errSlow    = fmt.Errorf("an operation takes longer than %v", patience)
)

// TooLargeError is a batch that is larger than the whole queue may be.
type TooLargeError struct{ Size, Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("a batch of %d bytes does not fit into a queue of %d", e.Size, e.Limit)
}

// Config says where a queue is and how large.
type Config struct {
	Dir   string        // made if it does not exist; empty: the queue is in memory
	Limit int64         // bytes of batches, [Overhead] included, at which the oldest is dropped; > 0
	Sync  time.Duration // 0: Put returns when the batch survives power loss; else what is put survives it after at most this time, if the disk keeps up
	Log   *slog.Logger

	files    files         // of tests
	patience time.Duration // of tests
}

// Queue is a bounded queue of batches, oldest first. All methods may be called at the same time.
type Queue struct {
	limit   int64
	disk    *disk         // nil: in memory
	ready   chan struct{} // has one element when Take may find something
	closing chan struct{} // closed by Close

	// mu guards everything below, all entries, and what disk and segment say. It is never held during input or output, but for a line of log.
	mu     sync.Mutex
	closed bool
	list   list    // neither in flight nor done, but for those found damaged meanwhile
	flight *Flight // nil if there is none
	usage  int64   // bytes of batches that are not done, without the doomed
	points map[otlp.Signal]*Points
}

// Open opens the queue in c.Dir with what an earlier process left in it, older than anything put from now on.
//
// It fails if another process has the directory, and if it holds a file that is not of this queue or from a newer release. A disk that is full,
// read-only or failing is no error: the queue then starts in memory, and what was left joins it when the disk is back.
// Call Close when it is no longer needed.
func Open(c Config) (*Queue, error) {
	if c.Limit <= 0 {
		return nil, fmt.Errorf("queue limit is %d, but must be more than 0", c.Limit)
	}
	q := &Queue{
		limit: c.Limit, ready: make(chan struct{}, 1), closing: make(chan struct{}),
		points: make(map[otlp.Signal]*Points),
	}
	for _, s := range otlp.Signals() {
		q.points[s] = &Points{}
	}
	if c.Dir == "" {
		c.Log.Info("the queue is in memory: what waits for the upstream is lost when this process ends")
		return q, nil
	}
	if c.files == nil {
		c.files = directory(c.Dir)
	}
	q.disk = newDisk(q, c)
	if err := q.disk.start(); err != nil {
		return nil, fmt.Errorf("queue directory %s %w", c.Dir, err)
	}
	return q, nil
}

// Put adds a batch, dropping the oldest if there is no room. It returns when the batch is as safe as [Config] asks, or after a second or two if
// the disk does not do that: then the batch is in memory, and [Account] says that the queue is not durable. The queue owns b.Data from now on.
//
// It fails with ctx's error if ctx was done before, with a [*TooLargeError], and with [ErrClosed]; the queue is then unchanged.
// It costs two switches of goroutine and one write to a file, which concurrent calls share; with Sync 0 a sync besides, which they share too.
func (q *Queue) Put(ctx context.Context, b otlp.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if size := Overhead + int64(len(b.Data)); size > q.limit || size > math.MaxUint32 {
		return &TooLargeError{size, min(q.limit, math.MaxUint32)}
	}
	if _, ok := q.points[b.Signal]; !ok {
		return fmt.Errorf("signal %d is not known", b.Signal)
	}
	accepted, err := q.add(newEntry(b, time.Now()))
	if err == nil {
		<-accepted
	}
	return err
}

// never blocks whoever receives from it.
var never = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// add puts e into the queue and returns what is closed when it is accepted.
func (q *Queue) add(e *entry) (accepted <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	q.usage += e.size()
	q.list.pushBack(e)
	q.points[e.signal].Accepted += e.points
	q.points[e.signal].Queued += e.points
	q.makeRoomLocked()
	if q.disk != nil {
		return q.disk.addLocked(e), nil
	}
	q.acceptLocked(e)
	return never, nil
}

func (q *Queue) acceptLocked(e *entry) {
	e.accepted = true
	q.notify()
}

// notify makes Take look again.
func (q *Queue) notify() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// makeRoomLocked drops the oldest until what is left is within the limit.
func (q *Queue) makeRoomLocked() {
	if q.usage > q.limit && q.flight != nil {
		q.flight.doomLocked()
	}
	for q.usage > q.limit {
		if e := q.list.popFront(); e.state != done {
			q.points[e.signal].Full += e.points
			q.doneLocked(e)
		}
	}
}

// doneLocked ends e's time in the queue. It may still be in a list.
func (q *Queue) doneLocked(e *entry) {
	if !e.doomed {
		q.usage -= e.size()
	}
	q.points[e.signal].Queued -= e.points
	q.setLocked(e, done)
	e.data = nil
}

func (q *Queue) setLocked(e *entry, s state) {
	e.state = s
	if q.disk != nil {
		q.disk.changedLocked(e)
	}
}

// damagedLocked drops e, which the disk does not give back.
func (q *Queue) damagedLocked(e *entry) {
	if e.state != done {
		q.points[e.signal].Damaged += e.points
		q.doneLocked(e)
	}
}

// Close ends the queue: what waits in Take gets [ErrClosed], and what is in the queue stays on disk for the next Open. Batches of a flight that
// are not settled count as in flight then. It takes a few seconds at most, and fails if batches were in memory only that are lost now.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	close(q.closing)
	q.mu.Unlock()
	if q.disk == nil {
		return q.lost(nil)
	}
	return q.disk.close()
}

// lost returns an error if anything is in memory only.
func (q *Queue) lost(cause error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batches, points int64
	count := func(e *entry) {
		if e.state != done && e.seg == nil {
			batches++
			points += e.points
		}
	}
	for e := q.list.first; e != nil; e = e.next {
		count(e)
	}
	if q.flight != nil {
		for _, e := range q.flight.entries {
			count(e)
		}
	}
	switch {
	case batches == 0:
		return nil
	case cause == nil:
		return fmt.Errorf("queue was in memory only: %d points are lost", points)
	}
	return fmt.Errorf("%d points were in memory only and are lost: %w", points, cause)
}
