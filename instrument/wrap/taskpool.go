package wrap

import (
	"fmt"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/ledger"
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

	mu      sync.Mutex // guards what follows
	asks    instrument.Sampler
	asked   bool // ever
	refused [5]int64
	waits   instrument.Sampled
	uses    ledger.Tasks
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
//   - what became of that time, on a CPU, ready or blocked, of a sample of them; see [instrument.CPUSampler],
//   - how they ended: ok, or panic if a task did not return, since runtime.Goexit looks the same as long as nobody recovers,
//   - calls that Submit refused: closed if p has a method IsClosed() bool that says so, else rejected. How long they took is not known.
//
// Nothing of tasks is reported before the first. A task costs some 80 ns and an allocation of 48 bytes more than bare. Close does not
// close p.
func TaskPool(name, kind string, p Submitter, opts ...instrument.Option) (*Tasks, error) {
	if p == nil {
		return nil, fmt.Errorf("task pool %q: nil: want a pool", name)
	}
	s := &Tasks{pool: p, asks: instrument.NewSampler(opts...), uses: ledger.NewTasks(opts...)}
	var err error
	if s.reg, err = instrument.Observe(name, kind, s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// request is a task that has not started.
type request struct {
	at     time.Duration
	weight uint32 // 0 if its wait is not timed
}

// Submit gives the pool a task, and returns what the pool does.
func (s *Tasks) Submit(task func()) error {
	if task == nil {
		return s.pool.Submit(nil) // whatever that means to the pool
	}
	ask := s.ask()
	err := s.pool.Submit(func() { s.run(task, ask) })
	if err != nil {
		s.refuse()
	}
	return err
}

func (s *Tasks) ask() (r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = true
	if r.weight = s.asks.Next(); r.weight > 0 {
		r.at = instrument.Now()
	}
	return r
}

func (s *Tasks) refuse() {
	how := instrument.Rejected
	if p, ok := s.pool.(interface{ IsClosed() bool }); ok && p.IsClosed() {
		how = instrument.WasClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[how]++
}

func (s *Tasks) run(task func(), ask request) {
	begun := s.begin(ask)
	how := instrument.Panicked
	defer func() {
		begun.CPU.End()
		s.mu.Lock()
		s.uses.End(begun, how)
		s.mu.Unlock()
	}()
	begun.CPU.Begin()
	task()
	how = instrument.OK
}

func (s *Tasks) begin(ask request) ledger.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.uses.Begin()
	if ask.weight > 0 {
		wait := instrument.Now() - ask.at
		s.waits.Sample(wait, ask.weight, s.uses.Acquired())
		s.asks.Timed(wait)
	}
	return begun
}

// Stats returns the state of the pool and what happened so far.
func (s *Tasks) Stats() (st instrument.Stats) {
	running, waiting, limit := s.pool.Running(), s.pool.Waiting(), s.pool.Cap()
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit > 0 {
		st.Limit = instrument.Some(int64(limit))
	}
	st.Pending = instrument.Some(int64(waiting))
	if !s.asked {
		return st
	}
	s.uses.Report(&st, instrument.OK, instrument.Panicked)
	st.Usage[instrument.Idle] = instrument.Some(max(0, int64(running)-s.uses.InUse()))
	st.Requests[instrument.Rejected] = instrument.Some(s.refused[instrument.Rejected])
	st.Requests[instrument.WasClosed] = instrument.Some(s.refused[instrument.WasClosed])
	if !s.uses.Off() {
		st.Wait[instrument.Acquired] = s.waits.Read(s.uses.Acquired())
	}
	return st
}

// Close ends the report. The pool and Submit go on to work.
func (s *Tasks) Close() { s.reg.Close() }
