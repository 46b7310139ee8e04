package queue

import (
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// entry is a batch in the queue. The queue's mu guards all fields except those that never change.
type entry struct {
	next *entry // in its list

	lane   *lane // these fields never change
	order  int64 // position in the lane
	points int64
	time   int64 // time of Put in Unix ns
	length uint32

	state    state
	accepted bool // Put may return and Take may return it
	flying   bool // in a flight
	evicted  bool // in flight when the queue was full: to be dropped if it comes back
	old      bool // part of the backlog, in a lane that is Fresh
	kept     bool // its data stays in memory although it is on disk too
	picked   bool // temporarily set by the writer
	synced   bool // its record is synced, so it may be parked
	moving   bool // its record was lost with a segment and no other is synced yet

	group  *group   // group to be accepted with; nil once accepted
	data   []byte   // nil if only the disk has it
	seq    uint64   // assigned by the writer; 0 until first written
	seg    *segment // nil if it is not on disk
	offset int64    // in seg
}

func newEntry(l *lane, b otlp.Batch, now time.Time) *entry {
	return &entry{
		lane:   l,
		points: b.Points,
		time:   now.UnixNano(),
		length: uint32(len(b.Data)),
		data:   b.Data,
		state:  queued,
	}
}

func (e *entry) record() record {
	return record{seq: e.seq, points: e.points, time: e.time, lane: e.lane.id, state: e.state, length: e.length}
}

// size returns how much the batch counts toward the limit.
func (e *entry) size() int64 { return Overhead + int64(e.length) }

// releaseLocked frees data that can be read back from disk.
func (e *entry) releaseLocked() {
	if e.seg != nil && !e.kept {
		e.data = nil
	}
}
