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
	pool      Submitter
	reg       *instrument.Registration
	rec       measure.Recorder
	submitted atomic.Bool // Submit has been called with a task
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
//   - how long each task waited, from the call to Submit until it started, how long it ran, and how
//     long the oldest has been running,
//   - on Linux, how much of their run time tasks spent on a CPU, ready to run, and blocked,
//     estimated from a sample of short tasks,
//   - how tasks ended: ok, or panic if a task did not return. The latter includes runtime.Goexit,
//     which cannot be distinguished from a panic without recovering the panic,
//   - calls to Submit that p refused: closed if p has a method IsClosed() bool that returns true,
//     otherwise rejected. How long these calls took is unknown.
//
// Metrics of tasks are reported once the first task has been submitted. Close does not close p.
func NewTaskPool(name, kind string, p Submitter, opts ...instrument.Option) (*TaskPool, error) {
	if p == nil {
		return nil, fmt.Errorf("task pool %q: the pool is nil", name)
	}
	s := &TaskPool{pool: p}
	s.rec.InitTasks(instrument.TimingOf(opts...))
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
	wait := s.beginWait()
	err := s.pool.Submit(func() { s.run(task, wait) })
	if err != nil {
		s.recordRefusal()
	}
	return err
}

// beginWait records that a task starts to wait. The tasks themselves wait in the pool.
func (s *TaskPool) beginWait() measure.Span {
	if !s.submitted.Load() {
		s.submitted.Store(true)
	}
	s.rec.Lock()
	defer s.rec.Unlock()
	return s.rec.Wait()
}

// recordRefusal records a call to Submit that the pool refused.
func (s *TaskPool) recordRefusal() {
	outcome := instrument.Rejected
	if p, ok := s.pool.(interface{ IsClosed() bool }); ok && p.IsClosed() {
		outcome = instrument.WasClosed
	}
	s.rec.Lock()
	defer s.rec.Unlock()
	s.rec.Requests.Add(outcome, 1)
}

// run runs task in the pool's goroutine and measures it. wait is the result of beginWait.
func (s *TaskPool) run(task func(), wait measure.Span) {
	s.rec.Lock()
	use := s.rec.StartAfter(wait)
	s.rec.Unlock()
	ending := instrument.Panicked
	defer func() {
		use.Sample.End()
		s.rec.Lock()
		defer s.rec.Unlock()
		s.rec.End(use, ending)
	}()
	use.Sample.Begin()
	task()
	ending = instrument.OK
}

// Running returns the number of running tasks.
func (s *TaskPool) Running() int {
	s.rec.Lock()
	defer s.rec.Unlock()
	return int(s.rec.Uses.InUse())
}

// Stats returns the pool's current state and the counts so far.
func (s *TaskPool) Stats() (st instrument.Stats) {
	running, waiting, limit := s.pool.Running(), s.pool.Waiting(), s.pool.Cap()
	if limit > 0 {
		st.Limit = instrument.Some(int64(limit))
	}
	st.Pending = instrument.Some(int64(waiting))
	if !s.submitted.Load() {
		return st
	}
	s.rec.Lock()
	defer s.rec.Unlock()
	m := &s.rec.Meter
	s.rec.Requests.Report(&st, m, instrument.Acquired, instrument.Rejected, instrument.WasClosed)
	st.Wait[instrument.Rejected], st.Wait[instrument.WasClosed] = nil, nil
	s.rec.ReportUses(&st, measure.Clock(), instrument.OK, instrument.Panicked)
	st.Usage[instrument.Idle] = instrument.Some(max(0, int64(running)-st.Usage[instrument.Used].Or(0)))
	return st
}

// Close stops reporting the pool. The pool and Submit keep working.
func (s *TaskPool) Close() {
	s.rec.Close()
	s.reg.Close()
}
