package queue

import (
	"slices"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Lane identifies one of the queue's independent sequences of batches.
type Lane uint8

// The lanes. Their numbers are stored in queue files and must not change. A signal's lane has the
// signal's number.
const (
	Metrics = Lane(otlp.Metrics)
	Traces  = Lane(otlp.Traces)
	Logs    = Lane(otlp.Logs)
	Own     = Lane(4) // metrics of the sidecar itself
)

// Lanes returns every lane.
func Lanes() []Lane { return []Lane{Metrics, Traces, Logs, Own} }

// LaneOf returns the lane for the data of signal s that clients send.
func LaneOf(s otlp.Signal) Lane { return Lane(s) }

// Signal returns the signal that the lane carries.
func (l Lane) Signal() otlp.Signal {
	if l == Own {
		return otlp.Metrics
	}
	return otlp.Signal(l)
}

func (l Lane) String() string {
	if l == Own {
		return "own"
	}
	return l.Signal().String()
}

// reserveDivisor determines each lane's reserved share of the limit, which is 1/reserveDivisor.
const reserveDivisor = 16

// lane is the state of a [Lane]. The queue's mu guards all of it except id and ready.
type lane struct {
	id      Lane
	fresh   bool          // take fresh batches before the backlog
	ready   chan struct{} // holds one element if there may be a batch to take
	reserve int64         // bytes reserved for the lane

	waiting list // queued batches, perhaps including some that were found damaged
	backlog list // the backlog if fresh is set, older than everything in waiting
	flights []*Flight
	waiters []*waiter // Puts waiting for room, in order
	// bytes of batches that are neither done nor evicted, plus bytes already granted to waiters
	usage  int64
	away   bool // the upstream is unreachable
	points Points
	bytes  int64 // data bytes accepted so far
}

// waiter is a Put waiting for room. Once granted is closed, size counts toward the lane's usage.
type waiter struct {
	size    int64
	granted chan struct{}
}

// notify wakes a caller of Take.
func (l *lane) notify() { signal(l.ready) }

// nextLocked returns the list that Take should take from, or nil if nothing can be taken yet.
func (l *lane) nextLocked() *list {
	for _, from := range []*list{&l.waiting, &l.backlog} {
		from.trim()
		if from.first != nil && from.first.accepted {
			return from
		}
	}
	return nil
}

// oldestLocked returns the oldest batch that is not done, or nil if there is none. If skipEvicted
// is set, it ignores evicted batches.
func (l *lane) oldestLocked(skipEvicted bool) (oldest *entry) {
	consider := func(e *entry) bool {
		if e.state == done || skipEvicted && e.evicted {
			return false
		}
		if oldest == nil || e.order < oldest.order {
			oldest = e
		}
		return true
	}
	for _, f := range l.flights {
		_ = slices.ContainsFunc(f.entries, consider) // stops at the first match
	}
	for _, from := range []*list{&l.backlog, &l.waiting} {
		from.trim()
		if from.first != nil {
			consider(from.first)
		}
	}
	return oldest
}

// entriesLocked calls f for each batch that is not done. Parked batches, which are on disk, are
// included only if parked is set.
func (l *lane) entriesLocked(parked bool, f func(*entry)) {
	each := func(e *entry) {
		if e.state != done {
			f(e)
		}
	}
	for _, flight := range l.flights {
		for _, e := range flight.entries {
			each(e)
		}
	}
	l.backlog.each(parked, each)
	l.waiting.each(parked, each)
}

// parkLocked parks batches that need not be in memory. It calls onPark for each batch before
// parking it.
func (l *lane) parkLocked(onPark func(*entry)) {
	l.backlog.park(onPark)
	l.waiting.park(onPark)
}
