package queue

import (
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Account is what a queue holds and what became of the rest, at one moment.
type Account struct {
	Points  map[otlp.Signal]Points // of every signal
	Usage   int64                  // bytes of batches, [Overhead] included, without those of which [Flight] says that they have given their room away
	Limit   int64                  // bytes
	Oldest  time.Time              // when the oldest batch was put; zero if the queue is empty
	OnDisk  bool                   // a directory is configured
	Durable bool                   // the disk keeps up; false while batches are in memory only, and without a directory
}

// Points counts points since [Open]. Accepted + Recovered = Queued + Full + Damaged + what was settled.
type Points struct {
	Accepted  int64 // by Put
	Queued    int64 // waiting or in flight, now
	Recovered int64 // found in the directory, those damaged included
	Resent    int64 // of those recovered, how many were in flight when the earlier process ended, and may have been sent
	Full      int64 // dropped for want of room
	Damaged   int64 // dropped since their record was damaged; what is so damaged that nobody knows its points is only logged
}

// Account returns the figures of now. It costs about a microsecond.
func (q *Queue) Account() Account {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := Account{Points: make(map[otlp.Signal]Points), Usage: q.usage, Limit: q.limit}
	for s, p := range q.points {
		a.Points[s] = *p
	}
	if e := q.oldestLocked(); e != nil {
		a.Oldest = time.Unix(0, e.time)
	}
	if q.disk != nil {
		a.OnDisk, a.Durable = true, q.disk.failure == nil
	}
	return a
}

// Queued returns the points that wait or are in flight, of all signals.
func (a Account) Queued() (points int64) {
	for _, p := range a.Points {
		points += p.Queued
	}
	return points
}
