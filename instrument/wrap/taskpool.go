package wrap

import (
	"fmt"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Submitter is a pool that runs tasks, as ants.Pool and ants.MultiPool are.
type Submitter interface {
	Submit(task func()) error
	Running() int // workers that there are, busy or not
	Waiting() int // callers of Submit, or tasks, that wait for a worker
	Cap() int     // workers that there may be; none or less is no limit
}

// TaskPool is a pool whose tasks are reported.
type TaskPool struct {
	pool  Submitter
	reg   *instrument.Registration
	ran   measure.Recorder
	asked atomic.Bool // ever
}

// NewTaskPool reports p under a name and a kind, which is best the name of its package. It reports
// what p says of itself,
//
//   - the limit,
//   - how many wait now,
//
// and, of tasks that are given to Submit of what it returns and not to p,
//
//   - how many run (used), and the workers that run none of them (idle),
//   - how long each waited, from the call of Submit until it ran, how long it ran, and how long the
//     oldest has run,
//   - how that time is divided into on a CPU, ready and blocked, of a sample of short ones, on
//     Linux,
//   - how they ended: ok, or panic if a task did not return, since runtime.Goexit looks the same as
//     long as nothing recovers,
//   - calls that Submit refused: closed if p has a method IsClosed() bool that says so, else
//     rejected. How long they took is not known.
//
// Nothing of tasks is reported before the first. Close does not close p.
func NewTaskPool(name, kind string, p Submitter, opts ...instrument.Option) (*TaskPool, error) {
	if p == nil {
		return nil, fmt.Errorf("task pool %q: nil: want a pool", name)
	}
	s := &TaskPool{pool: p}
	s.ran.InitTasks(instrument.TimingOf(opts...))
	var err error
	if s.reg, err = instrument.Observe(name, kind, s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// Submit gives the pool a task, and returns what the pool does.
func (s *TaskPool) Submit(task func()) error {
	if task == nil {
		return s.pool.Submit(nil) // whatever that means to the pool
	}
	asked := s.ask()
	err := s.pool.Submit(func() { s.run(task, asked) })
	if err != nil {
		s.refuse()
	}
	return err
}

// ask begins the wait of a task. The pool keeps the line.
func (s *TaskPool) ask() measure.Span {
	if !s.asked.Load() {
		s.asked.Store(true)
	}
	s.ran.Lock()
	defer s.ran.Unlock()
	return s.ran.Wait()
}

func (s *TaskPool) refuse() {
	how := instrument.Rejected
	if p, ok := s.pool.(interface{ IsClosed() bool }); ok && p.IsClosed() {
		how = instrument.WasClosed
	}
	s.ran.Lock()
	defer s.ran.Unlock()
	s.ran.Requests.Add(how, 1)
}

func (s *TaskPool) run(task func(), asked measure.Span) {
	s.ran.Lock()
	use, _ := s.ran.StartAfter(asked)
	s.ran.Unlock()
	how := instrument.Panicked
	defer func() {
		use.Sample.End()
		s.ran.Lock()
		defer s.ran.Unlock()
		s.ran.End(use, how)
	}()
	use.Sample.Begin()
	task()
	how = instrument.OK
}

// Running returns how many tasks run now.
func (s *TaskPool) Running() int {
	s.ran.Lock()
	defer s.ran.Unlock()
	return int(s.ran.Uses.InUse())
}

// Stats returns the state of the pool and what happened so far.
func (s *TaskPool) Stats() (st instrument.Stats) {
	running, waiting, limit := s.pool.Running(), s.pool.Waiting(), s.pool.Cap()
	if limit > 0 {
		st.Limit = instrument.Some(int64(limit))
	}
	st.Pending = instrument.Some(int64(waiting))
	if !s.asked.Load() {
		return st
	}
	s.ran.Lock()
	defer s.ran.Unlock()
	m := &s.ran.Meter
	s.ran.Requests.Report(&st, m, instrument.Acquired, instrument.Rejected, instrument.WasClosed)
	st.Wait[instrument.Rejected], st.Wait[instrument.WasClosed] = nil, nil
	s.ran.ReportUses(&st, measure.Clock(), instrument.OK, instrument.Panicked)
	st.Usage[instrument.Idle] = instrument.Some(max(0, int64(running)-st.Usage[instrument.Used].Or(0)))
	return st
}

// Close ends the report. The pool and Submit go on to work.
func (s *TaskPool) Close() {
	s.ran.Close()
	s.reg.Close()
}
