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
	patience     = time.Second // after which an operation counts as failed, though it goes on
	retry        = time.Second // between attempts to get the disk back
	mostKept     = 2 << 20
	leastSegment = 256 << 10
	mostSegment  = 4 << 20 // or a part of the limit, so that there are not too many
	mostSegments = 1 << 10
)

// disk follows a queue with two goroutines: one writes, one syncs, so that a Put waits for a sync
// only if [Config.Sync] asks for it. All input and output is theirs, but for what [Open] and [Take]
// read: whatever hangs, the queue does not.
type disk struct {
	q                *Queue
	dir              string
	files            files
	log              *slog.Logger
	sync             time.Duration
	patience         time.Duration
	segmentSize      int64
	keep             int64         // bytes of data that stay in memory though they are on disk
	wake, syncWanted chan struct{} // have one element when there is something to write, to sync
	stop, ended      chan struct{} // closed when the goroutines are to end, and when they have

	// of the writer only
	lock     io.Closer // nil until the directory could be opened
	active   *segment  // what is appended to; nil if there is none
	number   uint64    // of the next segment
	seq      uint64    // of the next batch
	buffer   []byte
	torn     []*segment // with something behind their size
	tryBytes int        // what a failing disk must take before it counts as back

	// guarded by q.mu
	groups   []*group // to be written, oldest first
	unsynced []*group // written, and not yet synced
	dirty    []*segment
	garbage  []*segment // gone, to be closed and deleted
	segments map[*segment]struct{}
	kept     int64
	deleted  bool    // a segment or the directory was deleted by another hand: see remake.go
	lost     []place // in such segments, to be written again
	moving   int     // entries of these that are read, and not yet synced elsewhere
	failure  error   // why batches are in memory only; nil while all is well
	behind   bool    // the writer has not yet done its work in time since the disk failed
}

// group is what is written together, and waited for together. The queue's mu guards it.
type group struct {
	entries  []*entry
	marks    []mark
	taken    bool          // the writer has it: nothing is added any more
	released bool          // nothing waits for it to be written any more
	written  chan struct{} // closed when it is, or is not waited for
	accepted chan struct{} // closed when its entries are accepted, or belong to another group
}

// mark is a change of a record's state on disk.
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
		patience:    cmp.Or(c.patience, patience),
		segmentSize: min(max(c.Limit/16, leastSegment), max(mostSegment, c.Limit/mostSegments)),
		keep:        min(c.Limit/8, mostKept),
		wake:        make(chan struct{}, 1),
		syncWanted:  make(chan struct{}, 1),
		stop:        make(chan struct{}),
		ended:       make(chan struct{}),
		seq:         1,
		segments:    make(map[*segment]struct{}),
	}
}

// start recovers what is in the directory and starts the goroutines.
func (d *disk) start() error {
	if err := d.open(); err != nil {
		if !diskTrouble(err) {
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

// addLocked has e written, and accepted when it is as safe as was asked for.
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

// writtenLocked returns what is closed when all that was asked so far is written.
func (d *disk) writtenLocked() <-chan struct{} { return d.groupLocked().written }

// groupLocked returns the group for what comes now, and wakes the writer.
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

// changedLocked brings e's new state to the disk. What is not yet there is written with the state
// that it has then.
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

// settleMoveLocked says that e need not be moved any more.
func (d *disk) settleMoveLocked(e *entry) {
	if e.moving {
		e.moving = false
		d.moving--
	}
}

// releaseRecordLocked takes one record out of s, and s away with the last.
func (d *disk) releaseRecordLocked(s *segment) {
	s.live--
	d.dropIfUnusedLocked(s)
}

// dropIfUnusedLocked has s deleted if it holds nothing and never will.
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

// acceptLocked accepts the entries of g, which are as safe as was asked for, but for those that
// were moved to another group.
func (d *disk) acceptLocked(g *group) {
	for _, e := range g.entries {
		if e.group == g {
			d.q.acceptLocked(e)
		}
	}
	d.closeLocked(g)
}

// closeLocked has those that wait for g look again.
func (d *disk) closeLocked(g *group) {
	select {
	case <-g.accepted:
	default:
		close(g.accepted)
	}
}

// releaseLocked ends the wait for g to be written. With Sync 0, the wait for its sync goes on.
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

// failLocked notes that the disk fails, until [disk.restoreLocked].
func (d *disk) failLocked(err error) {
	if d.failure == nil {
		if d.sync == 0 {
			d.log.Warn("queue storage is failing: clients wait, and are refused", slog.Any("error", err))
		} else {
			d.log.Warn(
				"buffering in memory: queue storage is failing; batches are lost if this process is killed",
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

// watch notes that the disk fails if the operation that begins is not over in time. The caller
// calls stop when it is; quick reports whether it was in time.
func (d *disk) watch() (stop func() (quick bool)) {
	begun := time.Now()
	timer := time.AfterFunc(d.patience, func() {
		d.q.mu.Lock()
		defer d.q.mu.Unlock()
		d.failLocked(errSlow)
	})
	return func() bool {
		timer.Stop()
		return time.Since(begun) < d.patience
	}
}

// close ends the goroutines when they have written what is left, and waits for them until ctx is
// done.
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
	if err := d.q.lost(cause); err != nil {
		return fmt.Errorf("queue directory %s: %w", d.dir, err)
	}
	return nil
}
