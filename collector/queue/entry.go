package queue

import (
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// entry is a batch in the queue. The queue's mu guards all fields except those that never change.
type entry struct {
	next *entry // in its list

	lane   *lane // this field and those up to length never change
	order  int64 // position in the lane
	points int64
	time   int64 // time of Put in Unix ns
	length uint32

	state    state
	accepted bool // its Put may return, and Take may return it
	flying   bool // part of a flight
	evicted  bool // was in flight when the queue was full: to be dropped if it returns to the queue
	old      bool // part of the backlog, in a lane of Config.Fresh
	kept     bool // the data stays in memory although it is on disk too
	picked   bool // used by disk.unwritten to pick the entry only once
	synced   bool // the record is synced, so the entry may be parked
	moving   bool // the record was in a deleted segment, and no other copy is synced yet

	group  *group   // group to be accepted with; nil once accepted
	data   []byte   // nil if the data is only on disk
	seq    uint64   // assigned by the writer; 0 until first written
	seg    *segment // nil if the batch is not on disk
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

// size returns the number of bytes that the batch counts toward the limit.
func (e *entry) size() int64 { return Overhead + int64(e.length) }

// releaseLocked frees data that can be read back from disk.
func (e *entry) releaseLocked() {
	if e.seg != nil && !e.kept {
		e.data = nil
	}
}
