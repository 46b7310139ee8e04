package queue

import (
	"time"
)

// Account is a consistent snapshot of what a queue holds and what became of the rest.
type Account struct {
	Lanes map[Lane]LaneAccount // of every lane
	// bytes of batches, [Overhead] included, without batches in flight that already made room
	Usage  int64
	Limit  int64 // bytes
	OnDisk bool  // a directory is configured
	// the disk keeps up; false while batches are in memory only, and without a directory
	Durable bool
}

// LaneAccount is the part of an [Account] about one lane.
type LaneAccount struct {
	Points

	Bytes  int64     // of data that Put accepted
	Usage  int64     // bytes, as in [Account]
	Oldest time.Time // when the oldest batch was put; zero if the lane is empty
	Away   bool      // as [Queue.SetAway] said
}

// Points counts points since [Open]. Accepted + Recovered = Queued + Full + Damaged + what was
// settled.
type Points struct {
	Accepted  int64 // by Put
	Queued    int64 // waiting or in flight, now
	Recovered int64 // found in the directory, those damaged included
	// of those recovered, how many were in flight when the earlier process ended, and may have been
	// sent
	Resent int64
	Full   int64 // dropped because the queue was full
	// dropped since their record was damaged; what is so damaged that its points are unknown is
	// only logged
	Damaged int64
}

// Account returns a snapshot.
func (q *Queue) Account() Account {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := Account{Lanes: make(map[Lane]LaneAccount, len(q.lanes)), Limit: q.limit}
	for _, l := range q.lanes {
		of := LaneAccount{Points: l.points, Bytes: l.bytes, Usage: l.usage, Away: l.away}
		if e := l.oldestLocked(false); e != nil {
			of.Oldest = time.Unix(0, e.time)
		}
		a.Lanes[l.id] = of
		a.Usage += l.usage
	}
	if q.disk != nil {
		a.OnDisk, a.Durable = true, q.disk.failure == nil
	}
	return a
}

// Queued returns the points that are waiting or in flight, in all lanes.
func (a Account) Queued() (points int64) {
	for _, l := range a.Lanes {
		points += l.Queued
	}
	return points
}

// Oldest returns when the oldest batch of all lanes was put; zero if there is none.
func (a Account) Oldest() (oldest time.Time) {
	for _, l := range a.Lanes {
		if !l.Oldest.IsZero() && (oldest.IsZero() || l.Oldest.Before(oldest)) {
			oldest = l.Oldest
		}
	}
	return oldest
}

// Holds reports whether the lane has batches waiting or in flight.
func (q *Queue) Holds(id Lane) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[id-1].oldestLocked(false) != nil
}

// Waits reports whether the lane has batches that are not in flight.
func (q *Queue) Waits(id Lane) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[id-1].nextLocked() != nil
}

// Usage returns the bytes of the lane, and how many all lanes may have together.
func (q *Queue) Usage(id Lane) (usage, limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[id-1].usage, q.limit
}
