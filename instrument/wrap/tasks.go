package wrap

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// tasks counts tasks, and times those that a sampler has chosen. Counting takes no lock: whatever the moments at which the counters
// are read, report puts them together so that they make sense.
type tasks struct {
	acquired atomic.Int64    // that have a slot; may be a little late
	done     [4]atomic.Int64 // by instrument.Ending, counted before they give their slot back

	mu      sync.Mutex // guards what follows
	waits   instrument.Sampled
	uses    instrument.Sampled
	open    int64         // timed and in progress
	starts  time.Duration // the sum of when those started; it may wrap around, differences come out right
	useTime float64       // the highest reported, in seconds
	cpu     instrument.CPUSampler
}

// stamp says since when a task waits or runs, and for how many it stands; for none if it is not timed.
type stamp struct {
	at     time.Duration
	weight uint32
}

// use is a task that runs.
type use struct {
	stamp

	cpu *instrument.CPUSample // nil unless it is measured what its thread does
}

// begin begins a task on its goroutine. It does not count it.
func (t *tasks) begin(now stamp) (began use) {
	if now.weight == 0 {
		return began
	}
	began.stamp = now
	t.mu.Lock()
	t.open++
	t.starts += began.at
	began.cpu = t.cpu.Next(began.at, t.acquired.Load())
	t.mu.Unlock()
	began.cpu.Begin()
	return began
}

// waited ends the wait of a task that is timed, was counted, and began.
func (t *tasks) waited(asked stamp, began use) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waits.Sample(began.at-asked.at, asked.weight, t.acquired.Load())
}

// end ends a task. It returns how long it took, if it was timed.
func (t *tasks) end(began use, how instrument.Ending) (took time.Duration) {
	began.cpu.End()
	t.done[how].Add(1)
	if began.weight == 0 {
		return 0
	}
	took = instrument.Now() - began.at
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	t.starts -= began.at
	t.cpu.Add(began.cpu)
	_, done := t.ended()
	t.uses.Sample(took, began.weight, done)
	return took
}

func (t *tasks) ended() (by [4]int64, all int64) {
	for i := range t.done {
		by[i] = t.done[i].Load()
		all += by[i]
	}
	return by, all
}

// report writes tasks into s, with the endings that the pool knows of, and returns how many have a slot or had one. Caller must
// hold mu, so that nothing is sampled that is not counted.
//
// What has a slot is read first: what is used then is never more than there was at that moment. A task may have ended before it is
// counted; it counts when it has.
func (t *tasks) report(s *instrument.Stats, off bool, endings ...instrument.Ending) (acquired int64) {
	acquired = t.acquired.Load()
	by, done := t.ended()
	acquired = max(acquired, done)
	s.Requests[instrument.Acquired] = instrument.Some(acquired)
	s.Usage[instrument.Used] = instrument.Some(acquired - done)
	for _, e := range endings {
		s.Completed[e] = instrument.Some(by[e])
	}
	if off {
		return acquired
	}
	s.Use = t.uses.Read(done)
	inProgress := time.Duration(t.open)*instrument.Now() - t.starts
	t.useTime = max(t.useTime, s.Use.Sum()+inProgress.Seconds()) // rounding must not make a counter fall
	s.UseTime = instrument.Some(t.useTime)
	s.CPUTime = t.cpu.Time()
	return acquired
}
