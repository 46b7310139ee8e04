package wrap

import (
	"fmt"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Submitter is a pool that runs tasks, such as ants.Pool or ants.MultiPool.
type Submitter interface {
	Submit(task func()) error
	Running() int // number of workers, busy or not
	Waiting() int // number of callers of Submit, or of tasks, that are waiting for a worker
	Cap() int     // maximum number of workers; 0 or less means no limit
}

// TaskPool is an instrumented pool of another package that runs tasks.
type TaskPool struct {
	pool  Submitter
	reg   *instrument.Registration
	ran   measure.Recorder
	asked atomic.Bool // a task has been submitted
}

// NewTaskPool instruments p and reports it under name. kind should be the name of p's package.
// These values are read from p itself:
//
//   - the limit,
//   - how many tasks or callers are waiting.
//
// Everything else covers only tasks that are submitted through the returned TaskPool rather than
// directly to p:
//
//   - how many tasks are running (used), and how many workers are not running any of these tasks
//     (idle),
//   - how long each task waited, from the call of Submit until it started, how long it ran, and how
//     long the oldest has been running,
//   - on Linux, how much of their run time tasks spent on a CPU, ready to run, and blocked,
//     estimated from a sample of short tasks,
//   - how tasks ended: ok, or panic if a task did not return. The latter includes runtime.Goexit,
//     which cannot be distinguished from a panic without recovering the panic,
//   - calls that Submit refused: closed if p has a method IsClosed() bool that returns true,
//     otherwise rejected. How long these calls took is unknown.
//
// Metrics of tasks are reported once the first task has been submitted. Close does not close p.
func NewTaskPool(name, kind string, p Submitter, opts ...instrument.Option) (*TaskPool, error) {
	if p == nil {
		return nil, fmt.Errorf("task pool %q: the pool is nil, expected a pool to submit tasks to", name)
	}
	s := &TaskPool{pool: p}
	s.ran.InitTasks(instrument.TimingOf(opts...))
	var err error
	if s.reg, err = instrument.Observe(name, kind, s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// Submit submits task to the pool, and returns the error, if any, from the pool's Submit.
func (s *TaskPool) Submit(task func()) error {
	if task == nil {
		return s.pool.Submit(nil) // the pool decides how to handle nil
	}
	asked := s.ask()
	err := s.pool.Submit(func() { s.run(task, asked) })
	if err != nil {
		s.refuse()
	}
	return err
}

// ask records that a task starts to wait. The tasks themselves wait in the pool.
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
	use := s.ran.StartAfter(asked)
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

// Running returns the number of running tasks.
func (s *TaskPool) Running() int {
	s.ran.Lock()
	defer s.ran.Unlock()
	return int(s.ran.Uses.InUse())
}

// Stats returns the pool's current state and the counts so far.
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

// Close stops reporting the pool. The pool and Submit keep working.
func (s *TaskPool) Close() {
	s.ran.Close()
	s.reg.Close()
}
