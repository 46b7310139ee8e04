package queue

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
)

// open locks the directory and puts the batches found in it in front of everything in the queue. If
// open fails, the queue is unchanged.
func (d *disk) open() error {
	l, err := d.files.Lock()
	if err != nil {
		if errors.Is(err, errInUse) {
			return err
		}
		return fmt.Errorf("cannot create or lock the directory: %w", err)
	}
	found, err := d.read()
	if err != nil {
		for _, s := range found.segments {
			_ = s.file.Close() // only read from
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

// contents holds what was found in the directory.
type contents struct {
	segments  []*segment
	stretches []stretch // records in ascending order of their sequence numbers
	late      []located // copies, and records that follow records of later batches
	damaged   []mark    // to mark damaged records as done, so that they are counted only once
	number    uint64    // the highest segment number
	seq       uint64    // the highest sequence number
	buffer    []byte
}

// read reads all segments. Even if read fails, the result contains open files, which the caller
// must close.
func (d *disk) read() (*contents, error) {
	all := &contents{}
	files, err := d.files.List()
	if err != nil {
		return all, fmt.Errorf("cannot list the directory: %w", err)
	}
	for _, f := range files {
		// Skip the lock file, directories such as lost+found, and hidden files such as those of NFS.
		if f.Name() == lockName || f.IsDir() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		n, ok := segmentNumber(f.Name())
		if !ok {
			return all, fmt.Errorf("%s: %w", f.Name(), errForeign)
		}
		all.number = max(all.number, n)
		if err := d.readSegment(all, f.Name()); err != nil {
			return all, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return all, nil
}

func (d *disk) readSegment(all *contents, name string) error {
	f, err := d.files.Open(name)
	if err != nil {
		return fmt.Errorf("cannot open the file: %w", err)
	}
	s := &segment{name: name, file: f, sealed: true}
	all.segments = append(all.segments, s)
	if s.size, err = f.Size(); err != nil {
		return fmt.Errorf("cannot read the file: %w", err)
	}
	if s.size > math.MaxUint32 {
		return errForeign
	}
	all.buffer = slices.Grow(all.buffer[:0], int(s.size))
	b := all.buffer[:s.size]
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot read the file: %w", err)
	}
	if err := checkHeader(b); err != nil {
		return err
	}
	d.index(all, s, b)
	return nil
}

// index parses b, the contents of s, and adds its records to those of the directory.
func (d *disk) index(all *contents, s *segment, b []byte) {
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
		all.add(f, s, skip+f.offset)
	}
	if batches+unknown > 0 {
		d.log.Warn(
			"queue file is damaged: batches dropped",
			slog.String("file", s.name),
			slog.Int64("batches", batches),
			slog.Int64("items", points),
			slog.Int64("unknown_bytes", unknown),
		)
	}
}

// add adds the record f, which is at offset in s.
func (all *contents) add(f section, s *segment, offset int) {
	if !f.intact {
		all.damaged = append(all.damaged, mark{s, int64(offset), done})
	}
	t := summary{
		seq:    f.seq,
		time:   f.time,
		points: f.points,
		offset: uint32(offset),
		length: f.record.length,
		lane:   f.lane,
		state:  moreAdvanced(queued, f.state),
		intact: f.intact,
	}
	if len(all.stretches) > 0 && f.seq <= all.seq {
		all.late = append(all.late, located{t, s})
		return
	}
	all.seq = f.seq
	n := len(all.stretches)
	if n == 0 || all.stretches[n-1].seg != s || all.stretches[n-1].len() == maxInStretch {
		if n > 0 {
			all.stretches[n-1].packed.clip()
		}
		all.stretches = append(all.stretches, stretch{seg: s})
		n++
	}
	all.stretches[n-1].append(t)
}

// fold merges the copies of each batch. It keeps the first intact copy, and gives it the most
// advanced state of all copies.
func (all *contents) fold() {
	slices.SortStableFunc(all.late, func(a, b located) int { return cmp.Compare(a.seq, b.seq) })
	kept := all.late[:0]
	for _, c := range all.late {
		before := all.find(c.seq)
		if n := len(kept); before == nil && n > 0 && kept[n-1].seq == c.seq {
			before = &kept[n-1].summary
		}
		if before == nil {
			kept = append(kept, c)
			continue
		}
		state := moreAdvanced(before.state, c.state)
		if before.intact || !c.intact {
			before.state = state
			continue
		}
		before.state, c.state = done, state // so that the first copy no longer counts
		kept = append(kept, c)
	}
	all.late = kept
}

// find returns the record with sequence number seq among the stretches, or nil if there is none.
func (all *contents) find(seq uint64) *summary {
	i, ok := slices.BinarySearchFunc(
		all.stretches,
		seq,
		func(s stretch, seq uint64) int { return cmp.Compare(s.first, seq) },
	)
	if !ok {
		i--
	}
	if i < 0 {
		return nil
	}
	return all.stretches[i].find(seq)
}

// each calls f for each batch, oldest first. It frees the stretches as it goes.
func (all *contents) each(f func(*segment, summary)) {
	late := all.late
	for i := range all.stretches {
		s := &all.stretches[i]
		s.each(func(t summary) {
			for ; len(late) > 0 && late[0].seq <= t.seq; late = late[1:] {
				f(late[0].seg, late[0].summary)
			}
			f(s.seg, t)
		})
		*s = stretch{}
	}
	for _, c := range late {
		f(c.seg, c.summary)
	}
}

// moreAdvanced returns the more advanced of the states a and b. An invalid state counts as in
// flight, since the batch may have been sent.
func moreAdvanced(a, b state) state {
	switch {
	case a == done || b == done:
		return done
	case a == queued && b == queued:
		return queued
	default:
		return inFlight
	}
}

// adoptLocked puts the recovered batches in front of everything in the queue.
func (d *disk) adoptLocked(all *contents) {
	all.fold()
	for i := range all.stretches {
		d.q.first -= int64(all.stretches[i].len())
	}
	d.q.first -= int64(len(all.late))
	recovered := make(map[*list]*list)
	order := d.q.first
	all.each(func(s *segment, t summary) {
		order++
		if t.state != done {
			d.adoptOneLocked(s, t, order, recovered)
		}
	})
	for to, older := range recovered {
		to.expand()
		older.concat(to)
		*to = *older
	}
	for _, s := range all.segments {
		d.segments[s] = struct{}{}
		d.dropIfUnusedLocked(s)
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

// adoptOneLocked adds the batch t, which was found in s, to recovered. For each list of the queue,
// recovered holds the batches to put in front of it.
func (d *disk) adoptOneLocked(s *segment, t summary, order int64, recovered map[*list]*list) {
	l := d.q.laneOf(t.lane)
	l.points.Recovered += t.points
	if !t.intact {
		l.points.Damaged += t.points
		return
	}
	if t.state == inFlight {
		l.points.Resent += t.points
	}
	l.points.Queued += t.points
	e := &entry{
		lane:     l,
		order:    order,
		points:   t.points,
		time:     t.time,
		length:   t.length,
		state:    t.state,
		accepted: true,
		old:      l.fresh,
		synced:   true,
		seq:      t.seq,
		seg:      s,
		offset:   int64(t.offset),
	}
	s.live++
	l.usage += e.size()
	to := &l.waiting
	if e.old {
		to = &l.backlog
	}
	older := recovered[to]
	if older == nil {
		older = &list{}
		recovered[to] = older
	}
	older.pushBack(e)
	older.park(func(*entry) {})
}
