package queue

import (
	"errors"
	"io/fs"
	"slices"
	"time"
)

// chunk is how many bytes are written at a time, unless one record is larger.
const chunk = 256 << 10

// writer performs the queue's writes until it is stopped. It combines writes that are pending at
// the same time.
func (d *disk) writer(ended chan<- struct{}) {
	defer close(ended)
	for {
		var ok bool
		select {
		case <-d.wake:
			ok = d.pass()
		case <-d.stop:
			d.pass()
			d.sealActive()
			return
		}
		if d.mustWait(ok) {
			select {
			case <-time.After(retryInterval):
				signal(d.wake)
			case <-d.stop:
			}
		}
	}
}

// mustWait reports whether the next pass must wait because the disk is failing. ok is whether the
// last pass succeeded; if so, a pass that has batches to move out of deleted segments need not
// wait.
func (d *disk) mustWait(ok bool) bool {
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	moves := ok && len(d.lost)+d.moving > 0
	return d.failure != nil && !moves
}

func (d *disk) failing() bool {
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	return d.failure != nil
}

// pass writes everything that is pending. It leaves what it cannot write for the next pass, and
// reports whether it wrote everything.
func (d *disk) pass() (ok bool) {
	d.q.mu.Lock()
	groups := d.groups
	for _, g := range groups {
		g.taken = true
	}
	d.q.mu.Unlock()
	stop := d.watch()
	err := d.perform(groups)
	if !stop() && err == nil {
		err = errSlow
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	d.behind = err != nil
	if err != nil && err != errSlow { //nolint:errorlint // it is never wrapped
		d.failLocked(err)
		return false
	}
	d.writtenAllLocked(groups)
	return true
}

// writtenAllLocked passes groups on to the syncer. Groups without batches are not urgent.
func (d *disk) writtenAllLocked(groups []*group) {
	for _, g := range groups {
		d.releaseLocked(g)
		if len(g.entries) > 0 {
			d.unsynced = append(d.unsynced, g)
			signal(d.syncWanted)
		}
	}
	// Delete also clears the removed elements, so that they can be freed.
	d.groups = slices.Delete(d.groups, 0, len(groups))
	if d.failure != nil {
		signal(d.syncWanted)
	}
}

func (d *disk) perform(groups []*group) error {
	if d.lock == nil {
		if err := d.open(); err != nil {
			return err
		}
	}
	if err := d.remake(); err != nil {
		return err
	}
	if err := d.trim(); err != nil {
		return err
	}
	if d.failing() {
		// Delete segments first: a full disk would otherwise refuse every write.
		if err := d.sweep(func(s *segment) bool { return !s.moved }); err != nil {
			return err
		}
		if err := d.tryWrite(); err != nil {
			return err
		}
	}
	if err := d.write(d.unwritten(groups)); err != nil {
		return err
	}
	if err := d.mark(groups); err != nil {
		return err
	}
	return d.sweep(anySegment)
}

// job is an entry to be written, with the record and data that it had when it was picked.
type job struct {
	*entry

	record record
	data   []byte
}

// unwritten picks the entries of groups that must be written. It picks each entry once, although a
// rescued entry may be in two groups.
func (d *disk) unwritten(groups []*group) (jobs []job) {
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	for _, g := range groups {
		for _, e := range g.entries {
			if e.state == done || e.seg != nil || e.picked {
				continue
			}
			e.picked = true
			if e.seq == 0 {
				e.seq = d.seq
				d.seq++
			}
			jobs = append(jobs, job{e, e.record(), e.data})
		}
	}
	for _, j := range jobs {
		j.picked = false
	}
	return jobs
}

// write appends the records of jobs to segments.
func (d *disk) write(jobs []job) error {
	for len(jobs) > 0 {
		s, err := d.segment()
		if err != nil {
			return err
		}
		n, err := d.append(s, jobs)
		if err != nil {
			return err
		}
		jobs = jobs[n:]
	}
	return nil
}

// segment returns the segment to append to, and creates one if necessary.
func (d *disk) segment() (*segment, error) {
	if d.active != nil {
		d.q.mu.Lock()
		if d.active.size >= d.segmentSize {
			d.sealLocked(d.active)
		}
		sealed := d.active.sealed
		d.q.mu.Unlock()
		if !sealed {
			return d.active, nil
		}
		d.active = nil
	}
	s := &segment{name: segmentName(d.number), size: segmentHeader}
	f, err := d.files.Open(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		d.q.mu.Lock()
		d.deleted = true
		d.q.mu.Unlock()
	}
	if err != nil {
		return nil, err
	}
	s.file = f
	if _, err := f.WriteAt(newHeader(version), 0); err != nil {
		return nil, errors.Join(err, f.Close(), d.files.Remove(s.name))
	}
	d.number++
	d.q.mu.Lock()
	d.segments[s] = struct{}{}
	d.q.mu.Unlock()
	d.active = s
	return s, nil
}

// append writes as many jobs as fit into one chunk and into s, but at least one. It returns the
// number of jobs written, which is 0 if s was discarded in the meantime.
func (d *disk) append(s *segment, jobs []job) (n int, err error) {
	b := d.buffer[:0]
	var rest []byte // data of a record that is larger than chunk, to be written without copying it
	for _, j := range jobs {
		if n > 0 && (len(b)+int(j.size()) > chunk || s.size+int64(len(b)) >= d.segmentSize) {
			break
		}
		n++
		if j.size() > chunk {
			b, rest = appendHeader(b, j.record, j.data), j.data
			break
		}
		b = append(appendHeader(b, j.record, j.data), j.data...)
	}
	d.buffer = b
	_, err = s.file.WriteAt(b, s.size)
	if err == nil && rest != nil {
		_, err = s.file.WriteAt(rest, s.size+int64(len(b)))
	}
	if err != nil {
		d.abandonTorn(s, len(b)+len(rest))
		return 0, err
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	if s.gone { // s had no live records and was sealed in the meantime: jobs go to the next segment
		return 0, nil
	}
	d.markDirtyLocked(s)
	for _, j := range jobs[:n] {
		d.writtenEntryLocked(j, s)
	}
	return n, nil
}

// trim truncates torn segments that could not be truncated earlier: the garbage at their ends may
// contain complete records.
func (d *disk) trim() error {
	for len(d.torn) > 0 {
		s := d.torn[0]
		d.q.mu.Lock()
		gone := s.gone
		d.q.mu.Unlock()
		if !gone {
			if err := s.file.Truncate(s.size); err != nil {
				return err
			}
		}
		d.torn = d.torn[1:]
	}
	return nil
}

// abandonTorn seals s after an attempt to append n bytes to it has failed.
func (d *disk) abandonTorn(s *segment, n int) {
	if s.file.Truncate(s.size) != nil {
		d.torn = append(d.torn, s)
	}
	d.tryBytes = n
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	d.sealLocked(s)
}

// writtenEntryLocked records that j was written to the end of s. It frees the data unless there is
// room to keep it in memory.
func (d *disk) writtenEntryLocked(j job, s *segment) {
	e := j.entry
	e.seg, e.offset = s, s.size
	s.size += e.size()
	s.live++
	if e.state != j.record.state {
		d.changedLocked(e)
	}
	if e.state == done {
		return
	}
	if !e.kept && d.kept+int64(e.length) <= d.keep {
		e.kept = true
		d.kept += int64(e.length)
	}
	e.releaseLocked()
}

// markDirtyLocked schedules s for the next sync.
func (d *disk) markDirtyLocked(s *segment) {
	if !s.dirty {
		s.dirty = true
		d.dirty = append(d.dirty, s)
	}
}

// mark writes the marks of groups to disk, except marks in segments that will be deleted.
func (d *disk) mark(groups []*group) error {
	d.q.mu.Lock()
	var marks []mark
	for _, g := range groups {
		for _, m := range g.marks {
			if !m.seg.gone {
				marks = append(marks, m)
				d.markDirtyLocked(m.seg)
			}
		}
	}
	d.q.mu.Unlock()
	for _, m := range marks {
		if _, err := m.seg.file.WriteAt([]byte{byte(m.state)}, m.offset+stateOffset); err != nil {
			return err
		}
	}
	return nil
}

func anySegment(*segment) bool { return true }

// sweep deletes the unused segments for which match returns true.
func (d *disk) sweep(match func(*segment) bool) error {
	d.q.mu.Lock()
	var unused []*segment
	rest := d.garbage[:0]
	for _, s := range d.garbage {
		if s.pins == 0 && match(s) {
			unused = append(unused, s)
		} else {
			rest = append(rest, s)
		}
	}
	d.garbage = rest
	d.q.mu.Unlock()
	for i, s := range unused {
		_ = s.file.Close() // nothing in it is needed
		if err := d.files.Remove(s.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.q.mu.Lock()
			d.garbage = append(d.garbage, unused[i:]...)
			d.q.mu.Unlock()
			return err
		}
	}
	return nil
}

// tryWrite checks whether a failed disk accepts as many bytes as it last refused. Without this
// check, the disk could count as recovered and fail again at the next batch.
func (d *disk) tryWrite() error {
	s, err := d.segment()
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(make([]byte, max(d.tryBytes, 64<<10)), s.size); err != nil {
		d.abandonTorn(s, d.tryBytes)
		return err
	}
	d.q.mu.Lock()
	d.markDirtyLocked(s)
	d.q.mu.Unlock()
	return s.file.Truncate(s.size)
}

// sealActive seals the active segment, and schedules it for deletion if none of its records is
// needed.
func (d *disk) sealActive() {
	if d.active != nil {
		d.q.mu.Lock()
		defer d.q.mu.Unlock()
		d.sealLocked(d.active)
	}
}
