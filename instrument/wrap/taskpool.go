package wrap

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/instrument"
)

// Submitter is a pool that runs tasks, as ants.Pool and ants.MultiPool are.
type Submitter interface {
	Submit(task func()) error
	Running() int // workers that there are, busy or not
	Waiting() int // callers of Submit, or tasks, that wait for a worker
	Cap() int     // workers that there may be; none or less is no limit
}

// Tasks is a pool whose tasks are reported.
type Tasks struct {
	pool Submitter
	reg  *instrument.Registration

	ran     tasks
	refused [5]atomic.Int64 // by instrument.Outcome
	asked   atomic.Bool     // ever

	mu      sync.Mutex // guards what follows
	sampler instrument.Sampler
}

// TaskPool reports p under a name and a kind, which is best the name of its package. It reports what p says of itself,
//
//   - the limit,
//   - who waits now,
//
// and, of tasks that are given to Submit of what it returns and not to p,
//
//   - how many run (used), and the workers that run none of them (idle),
//   - how long each waited, from the call of Submit until it ran, and how long it ran,
//   - how they ended: ok, or panic if a task did not return, since runtime.Goexit looks the same as long as nobody recovers,
//   - calls that Submit refused: closed if p has a method IsClosed() bool that says so, else rejected. How long they took is not known.
//
// Nothing of tasks is reported before the first. A task costs some 55 ns and an allocation of 24 bytes more than bare. Close does not
// close p.
func TaskPool(name, kind string, p Submitter, opts ...instrument.Option) (*Tasks, error) {
	if p == nil {
		return nil, fmt.Errorf("task pool %q: nil: want a pool", name)
	}
	s := &Tasks{pool: p, sampler: instrument.NewSampler(opts...)}
	s.ran.cpu = instrument.NewCPUSampler(opts...)
	var err error
	if s.reg, err = instrument.Observe(name, kind, s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// Submit gives the pool a task, and returns what the pool does.
func (s *Tasks) Submit(task func()) error {
	if task == nil {
		return s.pool.Submit(nil) // whatever that means to the pool
	}
	run := func() { s.run(task) }
	if asked := s.ask(); asked.weight > 0 {
		run = func() { s.runTimed(task, asked) }
	}
	err := s.pool.Submit(run)
	if err != nil {
		s.refuse()
	}
	return err
}

// ask chooses whether the task is timed. One choice stands for its wait and for its use.
func (s *Tasks) ask() stamp {
	if !s.asked.Load() {
		s.asked.Store(true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	weight, now := s.sampler.Next()
	return stamp{now, weight}
}

func (s *Tasks) refuse() {
	how := instrument.Rejected
	if p, ok := s.pool.(interface{ IsClosed() bool }); ok && p.IsClosed() {
		how = instrument.WasClosed
	}
	s.refused[how].Add(1)
}

func (s *Tasks) run(task func()) {
	s.ran.acquired.Add(1)
	how := instrument.Panicked
	defer func() { s.ran.end(use{}, how) }()
	task()
	how = instrument.OK
}

func (s *Tasks) runTimed(task func(), asked stamp) {
	s.ran.acquired.Add(1)
	began := s.ran.begin(stamp{instrument.Now(), asked.weight})
	s.ran.waited(asked, began)
	how := instrument.Panicked
	defer func() {
		took := s.ran.end(began, how)
		s.mu.Lock()
		s.sampler.Timed(took)
		s.mu.Unlock()
	}()
	task()
	how = instrument.OK
}

// Stats returns the state of the pool and what happened so far.
func (s *Tasks) Stats() (st instrument.Stats) {
	running, waiting, limit := s.pool.Running(), s.pool.Waiting(), s.pool.Cap()
	if limit > 0 {
		st.Limit = instrument.Some(int64(limit))
	}
	st.Pending = instrument.Some(int64(waiting))
	if !s.asked.Load() {
		return st
	}
	off := s.off()
	s.ran.mu.Lock()
	defer s.ran.mu.Unlock()
	acquired := s.ran.report(&st, off, instrument.OK, instrument.Panicked)
	st.Usage[instrument.Idle] = instrument.Some(max(0, int64(running)-st.Usage[instrument.Used].Or(0)))
	for _, o := range []instrument.Outcome{instrument.Rejected, instrument.WasClosed} {
		st.Requests[o] = instrument.Some(s.refused[o].Load())
	}
	if !off {
		st.Wait[instrument.Acquired] = s.ran.waits.Read(acquired)
	}
	return st
}

func (s *Tasks) off() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sampler.Off()
}

// Close ends the report. The pool and Submit go on to work.
func (s *Tasks) Close() { s.reg.Close() }
