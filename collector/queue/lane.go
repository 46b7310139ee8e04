package queue

import (
	"slices"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Lane identifies an independent queue of batches.
type Lane uint8

// The lanes. The numbers are stored in queue files and must not change. Lanes of clients have the
// number of their signal.
const (
	Metrics = Lane(otlp.Metrics)
	Traces  = Lane(otlp.Traces)
	Logs    = Lane(otlp.Logs)
	Own     = Lane(4) // metrics of the sidecar itself
)

// Lanes returns every lane.
func Lanes() []Lane { return []Lane{Metrics, Traces, Logs, Own} }

// LaneOf returns the lane of what clients send of a signal.
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

// share is the divisor of the limit that gives the bytes reserved for each lane.
const share = 16

// lane is the state of a [Lane]. The queue's mu guards it, but for id and ready.
type lane struct {
	id      Lane
	fresh   bool          // what is fresh is taken before the backlog
	ready   chan struct{} // has one element when Take may find something
	reserve int64         // bytes that are the lane's own

	waiting list // neither in flight nor done, but for those found damaged meanwhile
	behind  list // with fresh: the backlog, older than all of waiting
	flights []*Flight
	queue   []*waiter // Puts that wait for room, in order
	// bytes of batches that are not done, without the evicted, and of what waiters were granted
	usage  int64
	away   bool // the upstream does not take the lane
	points Points
	bytes  int64 // that were accepted
}

// waiter is a Put that waits for room. Once granted is closed, its size counts in the lane's usage.
type waiter struct {
	size    int64
	granted chan struct{}
}

// notify wakes Take.
func (l *lane) notify() { signal(l.ready) }

// nextLocked returns the list that Take takes from, nil if there is nothing to take yet.
func (l *lane) nextLocked() *list {
	for _, from := range []*list{&l.waiting, &l.behind} {
		from.trim()
		if from.first != nil && from.first.accepted {
			return from
		}
	}
	return nil
}

// oldestLocked returns the oldest batch that is not done, or of those the oldest that is not
// evicted; nil if there is none.
func (l *lane) oldestLocked(spared bool) (oldest *entry) {
	look := func(e *entry) bool {
		if e.state == done || spared && e.evicted {
			return false
		}
		if oldest == nil || e.order < oldest.order {
			oldest = e
		}
		return true
	}
	for _, f := range l.flights {
		_ = slices.ContainsFunc(f.entries, look) // which ends at the first
	}
	for _, from := range []*list{&l.behind, &l.waiting} {
		from.trim()
		if from.first != nil {
			look(from.first)
		}
	}
	return oldest
}

// entriesLocked calls f for each batch that is not done; for those that are parked, which are on
// disk, only if they are asked for.
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
	l.behind.each(parked, each)
	l.waiting.each(parked, each)
}

// parkLocked parks what need not be in memory.
func (l *lane) parkLocked(let func(*entry)) {
	l.behind.park(let)
	l.waiting.park(let)
}
