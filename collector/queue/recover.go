package queue

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// open locks the directory and puts what it holds before everything in the queue. Nothing has changed if it fails.
func (d *disk) open() error {
	l, err := d.files.Lock()
	if err != nil {
		if errors.Is(err, errInUse) {
			return err
		}
		return fmt.Errorf("cannot be used: %w", err)
	}
	found, err := d.read()
	if err != nil {
		for _, s := range found.segments {
			_ = s.file.Close() // read only
		}
		return errors.Join(err, l.Close())
	}
	d.lock = l
	d.number, d.seq = max(d.number, found.number+1), max(d.seq, found.seq+1)
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	d.adoptLocked(found)
	return nil
}

// found is what a directory holds.
type found struct {
	segments []*segment
	entries  map[uint64]*entry // by sequence number; those without a segment are damaged
	damaged  []mark            // that bury the damaged, so that they are counted once
	number   uint64            // the highest of a segment
	seq      uint64            // the highest of an entry
	buffer   []byte
}

// read reads all segments. What it returns has open files even if it fails.
func (d *disk) read() (*found, error) {
	all := &found{entries: make(map[uint64]*entry)}
	files, err := d.files.List()
	if err != nil {
		return all, fmt.Errorf("cannot be listed: %w", err)
	}
	for _, f := range files {
		if f.Name() == lockName || f.IsDir() || strings.HasPrefix(f.Name(), ".") { // another's, such as lost+found and .nfs…
			continue
		}
		n, ok := segmentNumber(f.Name())
		if !ok {
			return all, fmt.Errorf("holds %s, which is not a file of the queue: choose another directory, or move the file away", f.Name())
		}
		all.number = max(all.number, n)
		if err := d.readSegment(all, f.Name()); err != nil {
			return all, fmt.Errorf("holds %s, which %w", f.Name(), err)
		}
	}
	return all, nil
}

func (d *disk) readSegment(all *found, name string) error {
	f, err := d.files.Open(name)
	if err != nil {
		return fmt.Errorf("cannot be opened: %w", err)
	}
	s := &segment{name: name, file: f, sealed: true}
	all.segments = append(all.segments, s)
	if s.size, err = f.Size(); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	all.buffer = slices.Grow(all.buffer[:0], int(s.size))
	b := all.buffer[:s.size]
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if err := checkHeader(b); err != nil {
		return err
	}
	d.index(all, s, b)
	return nil
}

// index finds the entries in b, which is the whole of s.
func (d *disk) index(all *found, s *segment, b []byte) {
	var batches, points, unknown int64
	skip := min(segmentHeader, len(b))
	for f := range scan(b[skip:]) {
		switch {
		case !f.known || d.q.laneOf(f.lane) == nil:
			unknown += int64(f.length)
			continue
		case !f.intact && f.state != done:
			batches++
			points += f.points
		}
		all.add(f, d.q.laneOf(f.lane), s, int64(skip+f.offset))
	}
	if batches+unknown > 0 {
		d.log.Warn("the queue is damaged: batches are dropped", slog.String("file", s.name), slog.Int64("batches", batches),
			slog.Int64("points", points), slog.Int64("unknown_bytes", unknown))
	}
}

// add adds the record f, or learns from it what became of a batch of which there are copies.
func (all *found) add(f finding, l *lane, s *segment, offset int64) {
	all.seq = max(all.seq, f.seq)
	e := all.entries[f.seq]
	if e == nil {
		e = &entry{seq: f.seq, lane: l, points: f.points, time: f.time, length: f.record.length, state: queued, accepted: true, old: l.fresh}
		all.entries[f.seq] = e
	}
	e.state = later(e.state, f.state)
	switch {
	case !f.intact:
		all.damaged = append(all.damaged, mark{s, offset, done})
	case e.seg == nil:
		e.seg, e.offset = s, offset
	}
}

// later returns which of two states comes later. One that is none may have been any, and the batch may have been sent.
func later(a, b state) state {
	switch {
	case a == done || b == done:
		return done
	case a == queued && b == queued:
		return queued
	default:
		return inFlight
	}
}

// adoptLocked puts what was found before everything in the queue.
func (d *disk) adoptLocked(all *found) {
	entries := slices.SortedFunc(maps.Values(all.entries), func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
	clear(all.entries)
	d.q.first -= int64(len(entries))
	recovered := make(map[*list]*list)
	for i, e := range entries {
		entries[i] = nil // parked or done, it is gone
		if e.state != done {
			e.order = d.q.first + int64(i)
			d.adoptEntryLocked(e, recovered)
		}
	}
	for to, older := range recovered {
		to.expand()
		older.concat(to)
		*to = *older
	}
	for _, s := range all.segments {
		d.segments[s] = struct{}{}
		d.tidyLocked(s)
	}
	if len(all.damaged) > 0 {
		g := d.groupLocked()
		g.marks = append(g.marks, all.damaged...)
	}
	d.q.shrinkLocked()
	for _, l := range d.q.lanes {
		l.notify()
	}
}

// adoptEntryLocked puts e at the end of what was recovered for its list.
func (d *disk) adoptEntryLocked(e *entry, recovered map[*list]*list) {
	p := &e.lane.points
	p.Recovered += e.points
	if e.seg == nil {
		p.Damaged += e.points
		return
	}
	if e.state == inFlight {
		p.Resent += e.points
	}
	p.Queued += e.points
	e.seg.live++
	e.lane.usage += e.size()
	to := &e.lane.waiting
	if e.old {
		to = &e.lane.behind
	}
	older := recovered[to]
	if older == nil {
		older = &list{}
		recovered[to] = older
	}
	e.synced = true
	older.pushBack(e)
	older.park(func(*entry) {})
}
