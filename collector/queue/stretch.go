package queue

import (
	"cmp"
	"slices"
)

// summary is the part of a record that is kept in memory until all records have been read.
type summary struct {
	seq            uint64
	time, points   int64
	offset, length uint32
	lane           Lane
	state          state
	intact         bool
}

// located is a summary and the segment it was found in.
type located struct {
	summary

	seg *segment
}

// stretch is a sequence of records of one segment, in ascending order of their sequence numbers.
// The records are packed, since there may be a million of them.
type stretch struct {
	seg    *segment
	first  uint64 // sequence number
	packed deltas
	open   []summary // replaces packed once a record has been looked up
}

// maxInStretch is the maximum number of records in a stretch.
const maxInStretch = 1024

func (s *stretch) append(t summary) {
	if s.packed.n == 0 {
		s.first = t.seq
	}
	flags := int64(t.lane)<<9 | int64(t.state)<<1
	if t.intact {
		flags |= 1
	}
	//nolint:gosec // there are fewer than 1<<63 records
	s.packed.append(int64(t.seq), t.time, t.points, int64(t.offset), int64(t.length), flags)
}

// each calls f for each record.
func (s *stretch) each(f func(summary)) {
	for _, t := range s.open {
		f(t)
	}
	s.packed.each(6, func(v []int64) {
		f(summary{
			seq:    uint64(v[0]), //nolint:gosec // as they were appended
			time:   v[1],
			points: v[2],
			offset: uint32(v[3]), //nolint:gosec // as above
			length: uint32(v[4]), //nolint:gosec // as above
			lane:   Lane(v[5] >> 9),
			state:  state(v[5] >> 1 & 0xff),
			intact: v[5]&1 == 1,
		})
	})
}

// find returns the record with sequence number seq, or nil if there is none. The caller may modify
// the record.
func (s *stretch) find(seq uint64) *summary {
	if s.open == nil {
		var all []summary
		s.each(func(t summary) { all = append(all, t) })
		s.open, s.packed = all, deltas{}
	}
	i, ok := slices.BinarySearchFunc(s.open, seq, func(t summary, seq uint64) int { return cmp.Compare(t.seq, seq) })
	if !ok {
		return nil
	}
	return &s.open[i]
}

// len returns the number of records.
func (s *stretch) len() int { return s.packed.n + len(s.open) }
