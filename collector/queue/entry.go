package queue

import (
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// entry is a batch in the queue. The queue's mu guards all of it but what never changes.
type entry struct {
	next *entry // in its list

	lane   *lane // these never change
	order  int64 // in which the lane was joined
	points int64
	time   int64 // of Put, Unix ns
	length uint32

	state    state
	accepted bool // Put may return, Take may have it
	flying   bool // it is in a flight
	evicted  bool // it was in flight when the queue was full: dropped if it comes back
	old      bool // it belongs to the backlog, with fresh
	kept     bool // its data stays in memory though it is on disk too
	picked   bool // for a moment, by the writer
	synced   bool // its record is: it may be parked
	moving   bool // its record was lost with its segment, and it has no other that is synced

	group  *group   // whose fate it shares; nil once it is accepted
	data   []byte   // nil when only the disk has it
	seq    uint64   // 0 until it is first written; of the writer only
	seg    *segment // nil while it is not on disk
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

// size is what the batch counts against the limit.
func (e *entry) size() int64 { return Overhead + int64(e.length) }

// releaseLocked frees the memory of data that can be read again.
func (e *entry) releaseLocked() {
	if e.seg != nil && !e.kept {
		e.data = nil
	}
}
