package pools

import (
	"context"

	"github.com/poolgauge/poolgauge/internal/callsite"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// job is a unit of work for a worker: a [Task], or a function passed to Do, Map, ForEach or
// TaskGroup.Go.
type job interface {
	// run runs the job on a worker.
	run(ctx context.Context) error
	// drop is called instead of run if the pool was closed before a worker started the job. It is
	// called without holding the lock.
	drop()
	// function identifies the function that the job runs, so that holders can be named. It is
	// called while the job runs.
	function() callsite.Func
}

// plainJob is a task passed to Submit.
type plainJob Task

func (t plainJob) run(ctx context.Context) error { return t(ctx) }
func (t plainJob) drop()                         {}
func (t plainJob) function() callsite.Func       { return callsite.FuncOf(t) }

// entry is a job that waits for a worker.
type entry struct {
	job  job
	ctx  *poolContext // nil means the pool's context
	wait measure.Span // started when Submit was called
}

// entryQueue is a first-in, first-out queue. The zero value is empty.
type entryQueue struct {
	ring []entry // grows as needed; its length is a power of two
	head int     // index of the first entry
	n    int     // number of entries
}

// push appends an entry and returns it for the caller to fill in.
func (q *entryQueue) push() *entry {
	if q.n == len(q.ring) {
		q.grow()
	}
	e := &q.ring[(q.head+q.n)&(len(q.ring)-1)]
	q.n++
	return e
}

func (q *entryQueue) grow() {
	ring := make([]entry, max(16, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}

// pop removes the first entry and returns it. The queue must not be empty. The entry is valid until
// the next push. The caller must clear its job and context, so that they can be garbage-collected.
func (q *entryQueue) pop() *entry {
	e := &q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return e
}

// first returns the first entry. The queue must not be empty.
func (q *entryQueue) first() *entry {
	return &q.ring[q.head]
}
