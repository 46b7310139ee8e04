package queue

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"
)

const (
	slowAfter     = time.Second // an operation that takes longer counts as failed, although it continues
	retryInterval = time.Second // time between attempts to recover the disk
	maxKept       = 2 << 20     // maximum of disk.keep
	minSegment    = 256 << 10   // minimum of disk.segmentSize
	maxSegment    = 4 << 20     // maximum of disk.segmentSize, or Limit/maxSegments if that is larger
	maxSegments   = 1 << 10
)

// disk makes a queue durable with two goroutines, a writer and a syncer, so that a Put waits for a
// sync only if [Config.Sync] requires it. The two goroutines perform all I/O except reads by
// [Open] and [Queue.Take], so a hung disk never hangs the queue.
type disk struct {
	q                *Queue
	dir              string
	files            files
	log              *slog.Logger
	sync             time.Duration
	slowAfter        time.Duration
	segmentSize      int64
	keep             int64         // bytes of data to keep in memory although the data is on disk
	wake, syncWanted chan struct{} // hold one element if there is something to write or to sync, respectively
	stop, ended      chan struct{} // stop is closed to stop the goroutines, and ended once they have stopped

	// used by the writer only
	lock     io.Closer // nil until the directory has been opened
	active   *segment  // segment to append to; nil if there is none
	number   uint64    // number of the next segment
	seq      uint64    // sequence number of the next batch
	buffer   []byte
	torn     []*segment // segments with garbage after their end
	tryBytes int        // how many bytes a failing disk must accept before it counts as recovered

	// guarded by q.mu
	groups   []*group // to be written, oldest first
	unsynced []*group // written but not yet synced
	dirty    []*segment
	garbage  []*segment // unused segments to be closed and deleted
	segments map[*segment]struct{}
	kept     int64   // bytes of data now kept in memory although the data is on disk
	deleted  bool    // another process deleted a segment or the directory; see remake.go
	lost     []place // batches in deleted segments, to be written again
	moving   int     // number of entries read from deleted segments but not yet synced elsewhere
	failure  error   // why batches are in memory only; nil while the disk works
	behind   bool    // the disk failed, and the writer has not completed a pass in time since
}

// group is a set of entries and marks that are written, and waited for, together. The queue's mu
// guards it.
type group struct {
	entries  []*entry
	marks    []mark
	taken    bool          // the writer is writing the group: nothing may be added
	released bool          // callers no longer wait for the group to be written
	written  chan struct{} // closed when the group is written or released
	accepted chan struct{} // closed when the entries are accepted or have moved to another group
}

// mark is a change of a record's state, to be written to disk.
type mark struct {
	seg    *segment
	offset int64
	state  state
}

func newDisk(q *Queue, c Config) *disk {
	return &disk{
		q:           q,
		dir:         c.Dir,
		files:       c.files,
		log:         c.Log.With(slog.String("dir", c.Dir)),
		sync:        c.Sync,
		slowAfter:   cmp.Or(c.slowAfter, slowAfter),
		segmentSize: min(max(c.Limit/16, minSegment), max(maxSegment, c.Limit/maxSegments)),
		keep:        min(c.Limit/8, maxKept),
		wake:        make(chan struct{}, 1),
		syncWanted:  make(chan struct{}, 1),
		stop:        make(chan struct{}),
		ended:       make(chan struct{}),
		seq:         1,
		segments:    make(map[*segment]struct{}),
	}
}

// start recovers the contents of the directory and starts the goroutines.
func (d *disk) start() error {
	if err := d.open(); err != nil {
		if !isTemporary(err) {
			return err
		}
		d.q.mu.Lock()
		d.failLocked(err)
		d.q.mu.Unlock()
	}
	written := make(chan struct{})
	go d.writer(written)
	go d.syncer(written)
	return nil
}

// addLocked queues e to be written. e will be accepted once it is as durable as [Config.Sync]
// requires.
func (d *disk) addLocked(e *entry) {
	g := d.groupLocked()
	g.entries = append(g.entries, e)
	if !e.accepted {
		e.group = g
	}
	if g.released && d.sync > 0 {
		d.q.acceptLocked(e)
	}
}

// writtenLocked returns a channel that is closed when everything queued so far has been written.
func (d *disk) writtenLocked() <-chan struct{} { return d.groupLocked().written }

// groupLocked returns the group to add entries and marks to, and wakes the writer.
func (d *disk) groupLocked() *group {
	signal(d.wake)
	if n := len(d.groups); n > 0 {
		if g := d.groups[n-1]; !g.taken && g.released == (d.failure != nil) {
			return g
		}
	}
	g := &group{written: make(chan struct{}), accepted: make(chan struct{})}
	d.groups = append(d.groups, g)
	if d.failure != nil {
		d.releaseLocked(g)
	}
	return g
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// changedLocked queues e's new state to be written to e's record. If e is not on disk yet, its
// record will be written with the state that e has at that time.
func (d *disk) changedLocked(e *entry) {
	if e.state == done {
		d.settleMoveLocked(e)
	}
	if e.state == done && e.kept {
		e.kept = false
		d.kept -= int64(e.length)
	}
	if e.seg == nil {
		return
	}
	g := d.groupLocked()
	g.marks = append(g.marks, mark{e.seg, e.offset, e.state})
	if e.state == done {
		d.releaseRecordLocked(e.seg)
	}
}

// settleMoveLocked records that e no longer needs to be moved.
func (d *disk) settleMoveLocked(e *entry) {
	if e.moving {
		e.moving = false
		d.moving--
	}
}

// releaseRecordLocked decrements the number of live records in s, and schedules s for deletion if
// it is now unused.
func (d *disk) releaseRecordLocked(s *segment) {
	s.live--
	d.dropIfUnusedLocked(s)
}

// dropIfUnusedLocked schedules s for deletion if it has no live records and never will.
func (d *disk) dropIfUnusedLocked(s *segment) {
	if s.live == 0 && s.sealed && !s.gone {
		s.gone = true
		d.garbage = append(d.garbage, s)
		delete(d.segments, s)
		signal(d.wake)
	}
}

func (d *disk) sealLocked(s *segment) {
	s.sealed = true
	d.dropIfUnusedLocked(s)
}

func (d *disk) unpinLocked(s *segment) {
	s.pins--
	if s.pins == 0 && s.gone {
		signal(d.wake)
	}
}

// acceptLocked accepts the entries of g, which are now as durable as configured, except those that
// were moved to another group.
func (d *disk) acceptLocked(g *group) {
	for _, e := range g.entries {
		if e.group == g {
			d.q.acceptLocked(e)
		}
	}
	d.closeLocked(g)
}

// closeLocked wakes the goroutines that are waiting for g to be accepted.
func (d *disk) closeLocked(g *group) {
	select {
	case <-g.accepted:
	default:
		close(g.accepted)
	}
}

// releaseLocked wakes the goroutines that are waiting for g to be written, because it has been
// written or the disk is failing. With Sync > 0 it also accepts g's entries; with Sync 0, Put then
// waits for the sync.
func (d *disk) releaseLocked(g *group) {
	if g.released {
		return
	}
	g.released = true
	select {
	case <-g.written:
	default:
		close(g.written)
	}
	if d.sync > 0 {
		d.acceptLocked(g)
	}
}

// failLocked records that the disk is failing, until [disk.restoreLocked] records that it has
// recovered.
func (d *disk) failLocked(err error) {
	if d.failure == nil {
		if d.sync == 0 {
			d.log.Warn("queue storage is failing: requests wait and are then refused", slog.Any("error", err))
		} else {
			d.log.Warn(
				"buffering in memory: queue storage is failing; buffered items are lost if this process is killed",
				slog.Any("error", err),
			)
		}
	}
	d.failure, d.behind = err, true
	for _, g := range d.groups {
		d.releaseLocked(g)
	}
	for _, g := range d.unsynced {
		d.releaseLocked(g)
	}
	signal(d.wake)
}

func (d *disk) restoreLocked() {
	if d.failure != nil {
		d.log.Info("queue storage recovered")
		d.failure = nil
	}
}

// watch starts a timer for the operation that is about to begin. If the operation takes too long,
// watch records that the disk is failing. The caller must call stop when the operation has ended;
// inTime reports whether it ended in time.
func (d *disk) watch() (stop func() (inTime bool)) {
	begun := time.Now()
	timer := time.AfterFunc(d.slowAfter, func() {
		d.q.mu.Lock()
		defer d.q.mu.Unlock()
		d.failLocked(errSlow)
	})
	return func() bool {
		timer.Stop()
		return time.Since(begun) < d.slowAfter
	}
}

// close stops the goroutines once they have written everything that is pending. It waits for them
// until ctx is done.
func (d *disk) close(ctx context.Context) error {
	close(d.stop)
	select {
	case <-d.ended:
	case <-ctx.Done():
	}
	d.q.mu.Lock()
	cause := d.failure
	d.q.mu.Unlock()
	if cause == nil {
		cause = ctx.Err()
	}
	if err := d.q.lossError(cause); err != nil {
		return fmt.Errorf("queue directory %s: %w", d.dir, err)
	}
	return nil
}
