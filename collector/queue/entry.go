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
	doomed   bool // it was in flight when the queue was full: dropped if it comes back
	old      bool // it belongs to the backlog, with fresh
	kept     bool // its data stays in memory though it is on disk too
	picked   bool // for a moment, by the writer

	group  *group   // whose fate it shares; nil once it is accepted
	data   []byte   // nil when only the disk has it
	seq    uint64   // 0 until it is first written; of the writer only
	seg    *segment // nil while it is not on disk
	offset int64    // in seg
}

func newEntry(l *lane, b otlp.Batch, now time.Time) *entry {
	return &entry{lane: l, points: b.Points, time: now.UnixNano(), length: uint32(len(b.Data)), data: b.Data, state: queued}
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

// list is a list of entries, oldest first.
type list struct{ first, last *entry }

func (l *list) pushBack(e *entry) {
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
}

// insert puts e where its order says, which is near the front.
func (l *list) insert(e *entry) {
	at := &l.first
	for *at != nil && (*at).order < e.order {
		at = &(*at).next
	}
	if e.next = *at; e.next == nil {
		l.last = e
	}
	*at = e
}

func (l *list) popFront() *entry {
	e := l.first
	l.first, e.next = e.next, nil
	if l.first == nil {
		l.last = nil
	}
	return e
}

// trim drops what is done from the front.
func (l *list) trim() {
	for l.first != nil && l.first.state == done {
		l.popFront()
	}
}

// append moves everything of the other, which is younger, to the end of l, as the backlog.
func (l *list) append(other *list) {
	for other.first != nil {
		e := other.popFront()
		e.old = true
		l.pushBack(e)
	}
}
