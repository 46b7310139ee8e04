package queue

import (
	"errors"
	"slices"
	"time"
)

// syncer syncs what the writer has written, immediately or after d.sync. The writer closes written
// when it returns; syncer then syncs one last time and closes all files.
func (d *disk) syncer(written <-chan struct{}) {
	defer close(d.ended)
	inspectTicker := time.NewTicker(inspectInterval)
	defer inspectTicker.Stop()
	for {
		select {
		case <-d.syncWanted:
			d.pause()
			d.flush()
		case <-inspectTicker.C:
			d.inspect()
		case <-written:
			d.flush()
			if err := d.sweep(anySegment); err != nil {
				d.log.Warn("cannot delete a queue file", "error", err)
			}
			d.closeFiles()
			return
		}
	}
}

// inspectInterval is the time between calls to inspect. Each sync also checks whether its segment
// was deleted.
const inspectInterval = time.Second

// inspect checks whether another process has deleted any segment, including segments that are no
// longer written to.
func (d *disk) inspect() {
	d.q.mu.Lock()
	all := make([]*segment, 0, len(d.segments))
	for s := range d.segments {
		s.pins++
		all = append(all, s)
	}
	d.q.mu.Unlock()
	deleted := slices.ContainsFunc(all, func(s *segment) bool { return s.file.Deleted() })
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	for _, s := range all {
		d.unpinLocked(s)
	}
	if deleted && !d.deleted {
		d.deleted = true
		d.failLocked(errDeleted)
	}
}

func (d *disk) pause() {
	if d.sync > 0 {
		select {
		case <-time.After(d.sync):
		case <-d.stop:
		}
	}
}

// flush syncs everything written so far.
func (d *disk) flush() {
	d.q.mu.Lock()
	segments, groups := d.dirty, d.unsynced
	d.dirty = nil
	segments = slices.DeleteFunc(segments, func(s *segment) bool { return s.gone })
	for _, s := range segments {
		s.dirty = false
		s.pins++
	}
	proof := len(segments) > 0 && !d.behind // if these syncs succeed, they prove that the disk works
	d.q.mu.Unlock()
	stop := d.watch()
	failed := make(map[*segment]error)
	for _, s := range segments {
		if err := s.file.Sync(); err != nil {
			failed[s] = err
		}
	}
	inTime := stop()
	d.rescue(groups, failed)
	if d.failing() {
		d.inspect() // before the disk counts as recovered
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	for _, s := range segments {
		d.unpinLocked(s)
	}
	d.syncedLocked(groups, failed)
	d.unsynced = slices.Delete(d.unsynced, 0, len(groups))
	d.parkLocked()
	switch {
	case len(failed) > 0 || !inTime:
		d.behind = true
	case proof && !d.behind && !d.deleted && len(d.lost)+d.moving == 0:
		d.restoreLocked()
	}
}

// syncedLocked accepts groups, whose segments have been synced, except for the segments in failed.
func (d *disk) syncedLocked(groups []*group, failed map[*segment]error) {
	for _, g := range groups {
		d.acceptLocked(g)
		for _, e := range g.entries {
			if e.synced = e.seg != nil && failed[e.seg] == nil; e.synced {
				d.settleMoveLocked(e)
			}
		}
	}
}

// parkLocked parks batches of all lanes that need not be in memory, and frees their data.
func (d *disk) parkLocked() {
	for _, l := range d.q.lanes {
		l.parkLocked(func(e *entry) {
			if e.kept {
				e.kept = false
				d.kept -= int64(e.length)
			}
			e.data = nil
		})
	}
}

// rescue queues the batches of the segments that could not be synced, so that they are rewritten to
// another segment. After a failed sync, there is no way to know what is on disk, but written data
// can be read back as long as the operating system has it in memory.
func (d *disk) rescue(groups []*group, failed map[*segment]error) {
	if len(failed) == 0 {
		return
	}
	d.q.mu.Lock()
	var cause error
	for s, err := range failed {
		cause = err
		d.deleted = d.deleted || errors.Is(err, errDeleted)
		d.sealLocked(s)
	}
	d.failLocked(cause)
	var affected []place
	// d.groups may contain groups that have been only partly written
	for _, g := range slices.Concat(groups, d.groups) {
		for _, e := range g.entries {
			if failed[e.seg] != nil && e.state != done {
				affected = append(affected, place{e, e.seg, e.offset})
			}
		}
	}
	d.q.mu.Unlock()
	for _, p := range affected {
		_, data, err := p.seg.read(p.offset, p.length)
		d.q.mu.Lock()
		d.moveLocked(p, data, err)
		d.q.mu.Unlock()
	}
}

// moveLocked queues the batch at p to be written again. data and err are the result of reading the
// batch's data.
func (d *disk) moveLocked(p place, data []byte, err error) {
	e := p.entry
	switch {
	case e.state == done || e.seg != p.seg: // e was in two groups and has already moved
	case err != nil && e.data == nil:
		d.unreadableLocked(e, err)
	default:
		if e.data == nil {
			e.data = data
		}
		e.seg.moved, e.synced = true, false
		d.releaseRecordLocked(e.seg)
		e.seg = nil
		d.addLocked(e)
	}
}

// closeFiles closes all open files once both goroutines are done.
func (d *disk) closeFiles() {
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	for s := range d.segments {
		if s.pins == 0 {
			_ = s.file.Close() // already synced, or known to have failed
		}
	}
	if d.lock != nil {
		_ = d.lock.Close()
	}
}

// unreadableLocked drops e, whose record could not be read. Unless the record is damaged, it stays
// on disk, since the next process may be able to read it.
func (d *disk) unreadableLocked(e *entry, err error) {
	d.log.Warn(
		"dropped an unreadable batch from the queue",
		"file",
		e.seg.name,
		"offset",
		e.offset,
		"items",
		e.points,
		"error",
		err,
	)
	if !errors.Is(err, errDamaged) {
		e.seg = nil
	}
	d.q.dropDamagedLocked(e)
}
