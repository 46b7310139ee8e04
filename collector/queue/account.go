package queue

import (
	"time"
)

// Account is a consistent snapshot of what a queue holds and of what happened to batches that left
// the queue.
type Account struct {
	Lanes map[Lane]LaneAccount // for every lane
	// bytes of all batches, [Overhead] included; batches that are in flight but were evicted to
	// make room do not count
	Usage  int64
	Limit  int64 // bytes
	OnDisk bool  // a directory is configured
	// batches are on disk, or will be soon; false without a directory, and while queue storage is
	// failing
	Durable bool
}

// LaneAccount is the part of an [Account] about one lane.
type LaneAccount struct {
	Points

	Bytes  int64     // data bytes accepted by Put
	Usage  int64     // bytes, as in [Account]
	Oldest time.Time // when the oldest batch was put; zero if the lane is empty
	Away   bool      // as set by [Queue.SetAway]
}

// Points counts points since [Open]. Accepted + Recovered = Queued + Full + Damaged + settled
// points.
type Points struct {
	Accepted  int64 // accepted by Put
	Queued    int64 // currently waiting or in flight
	Recovered int64 // found in the directory, including damaged points
	// recovered points that were in flight when the previous process exited, and may already have
	// been sent
	Resent int64
	Full   int64 // dropped because the queue was full
	// dropped because their record was damaged; if the damage hides the number of points, it is
	// only logged
	Damaged int64
}

// Account returns a snapshot of q.
func (q *Queue) Account() Account {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := Account{Lanes: make(map[Lane]LaneAccount, len(q.lanes)), Limit: q.limit}
	for _, l := range q.lanes {
		account := LaneAccount{Points: l.points, Bytes: l.bytes, Usage: l.usage, Away: l.away}
		if e := l.oldestLocked(false); e != nil {
			account.Oldest = time.Unix(0, e.time)
		}
		a.Lanes[l.id] = account
		a.Usage += l.usage
	}
	if q.disk != nil {
		a.OnDisk, a.Durable = true, q.disk.failure == nil
	}
	return a
}

// Queued returns how many points are waiting or in flight in all lanes.
func (a Account) Queued() (points int64) {
	for _, l := range a.Lanes {
		points += l.Queued
	}
	return points
}

// Oldest returns when the oldest batch in any lane was put, or the zero time if there are no
// batches.
func (a Account) Oldest() (oldest time.Time) {
	for _, l := range a.Lanes {
		if !l.Oldest.IsZero() && (oldest.IsZero() || l.Oldest.Before(oldest)) {
			oldest = l.Oldest
		}
	}
	return oldest
}

// Holds reports whether the given lane has batches waiting or in flight.
func (q *Queue) Holds(id Lane) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[id-1].oldestLocked(false) != nil
}

// Waits reports whether the given lane has batches that are not in flight.
func (q *Queue) Waits(id Lane) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[id-1].nextLocked() != nil
}

// Usage returns how many bytes the given lane uses, and the limit for all lanes together.
func (q *Queue) Usage(id Lane) (usage, limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[id-1].usage, q.limit
}
