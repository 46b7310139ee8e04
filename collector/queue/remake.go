package queue

import (
	"fmt"
)

// evacuateSize is roughly how many bytes of deleted segments one call to evacuate reads. The writer
// then writes the batches in them to a new segment.
const evacuateSize = 1 << 20

// remake recovers after another process has deleted segments or the whole directory. It creates the
// directory again and queues the batches of deleted segments to be written again. A deleted segment
// can be read as long as it is open. If nothing was deleted, remake does nothing. Only the writer
// calls remake.
func (d *disk) remake() error {
	d.q.mu.Lock()
	deleted := d.deleted
	d.q.mu.Unlock()
	if deleted {
		if err := d.relock(); err != nil {
			return err
		}
		d.collectLost()
	}
	return d.evacuate()
}

// relock creates and locks the directory again, since the lock file was deleted with the directory.
// New segments get numbers that are not used in the directory.
func (d *disk) relock() error {
	if d.lock != nil {
		_ = d.lock.Close()
		d.lock = nil
	}
	l, err := d.files.Lock()
	if err != nil {
		return err
	}
	files, err := d.files.List()
	if err != nil {
		_ = l.Close()
		return fmt.Errorf("cannot list the directory: %w", err)
	}
	for _, f := range files {
		if n, ok := segmentNumber(f.Name()); ok {
			d.number = max(d.number, n+1)
		}
	}
	d.lock = l
	return nil
}

// collectLost lists the batches of deleted segments in d.lost, so that they are written again.
func (d *disk) collectLost() {
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	d.deleted = false
	gone := make(map[*segment]bool)
	for s := range d.segments {
		if s.file.Deleted() {
			gone[s] = true
			d.sealLocked(s)
		}
	}
	d.lost = nil
	for _, l := range d.q.lanes {
		l.entriesLocked(true, func(e *entry) {
			if gone[e.seg] {
				e.seg.pins++
				d.lost = append(d.lost, place{e, e.seg, e.offset})
			}
		})
	}
}

// evacuate queues some batches of deleted segments to be written again, and wakes the writer to
// continue with the rest.
func (d *disk) evacuate() error {
	size := 0
	for {
		d.q.mu.Lock()
		if len(d.lost) == 0 || size > evacuateSize {
			if size > 0 {
				signal(d.wake)
			}
			d.q.mu.Unlock()
			return nil
		}
		p := d.lost[0]
		d.lost = d.lost[1:]
		d.q.mu.Unlock()
		r, data, err := p.seg.read(p.offset, p.length)
		size += int(p.size())
		d.q.mu.Lock()
		if err == nil {
			p.seq = r.seq // the entry of a parked batch has no sequence number
		}
		if p.state != done && p.entry.seg == p.seg && !p.moving {
			p.moving = true
			d.moving++
		}
		d.moveLocked(p, data, err)
		d.unpinLocked(p.seg)
		d.q.mu.Unlock()
	}
}
