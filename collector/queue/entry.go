package queue

import (
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// entry is a batch in the queue. The queue's mu guards all of it but what never changes.
type entry struct {
	next *entry // in its list

	signal otlp.Signal // these never change
	points int64
	time   int64 // of Put, Unix ns
	length uint32

	state    state
	accepted bool // Put may return, Take may have it
	doomed   bool // it was in flight when the queue was full: dropped if it comes back
	kept     bool // its data stays in memory though it is on disk too
	picked   bool // for a moment, by the writer

	data   []byte   // nil when only the disk has it
	seq    uint64   // 0 until it is first written; of the writer only
	seg    *segment // nil while it is not on disk
	offset int64    // in seg
}

func newEntry(b otlp.Batch, now time.Time) *entry {
	return &entry{signal: b.Signal, points: b.Points, time: now.UnixNano(), length: uint32(len(b.Data)), data: b.Data, state: queued}
}

func (e *entry) record() record {
	return record{seq: e.seq, points: e.points, time: e.time, signal: e.signal, state: e.state, length: e.length}
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

func (l *list) pushFront(e *entry) {
	e.next = l.first
	l.first = e
	if l.last == nil {
		l.last = e
	}
}

func (l *list) popFront() *entry {
	e := l.first
	l.first, e.next = e.next, nil
	if l.first == nil {
		l.last = nil
	}
	return e
}
