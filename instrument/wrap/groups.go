package wrap

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/ledger"
)

// ErrGroups makes groups of golang.org/x/sync/errgroup that are reported together, under one name: a group lives as long as a
// request, a name as long as the program.
type ErrGroups struct {
	reg     *instrument.Registration
	started atomic.Int64 // functions that Go and TryGo have started, a little late

	mu       sync.Mutex // guards what follows
	uses     ledger.Tasks
	rejected int64
	blocked  list.List            // since when callers of Go are, the oldest first
	waits    instrument.Histogram // of those who were
}

// ErrGroup is an [errgroup.Group] whose functions are reported.
type ErrGroup struct {
	*errgroup.Group
	set *ErrGroups
}

// Groups returns ErrGroups of a name, which report as the kind group
//
//   - the functions that run (used), how long each ran, and whether it returned nil (ok), an error (error) or called runtime.Goexit
//     (exit); a panic ends the program,
//   - what became of that time, on a CPU, ready or blocked, of a sample of them; see [instrument.CPUSampler],
//   - callers whom a limit blocks in Go, since when and for how long, and calls of TryGo that were refused.
//
// Each group has its own limit, and there may be any number of groups, so there is no limit of all. A call costs some 60 ns more than
// bare, and one that is blocked some 0.3 µs. Programs that need not keep x/sync have the same in pools.NewGroups.
func Groups(name string, opts ...instrument.Option) (*ErrGroups, error) {
	s := &ErrGroups{uses: ledger.NewTasks(opts...)}
	var err error
	if s.reg, err = instrument.Observe(name, "group", s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// WithContext is [errgroup.WithContext] for a group that is reported.
func (s *ErrGroups) WithContext(ctx context.Context) (*ErrGroup, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return s.Group(g), ctx
}

// Group returns g as a group that is reported: new(errgroup.Group), or one that is in use.
func (s *ErrGroups) Group(g *errgroup.Group) *ErrGroup {
	return &ErrGroup{Group: g, set: s}
}

// Go is [errgroup.Group.Go].
func (g *ErrGroup) Go(f func() error) {
	reported := g.set.report(f)
	if !g.Group.TryGo(reported) { // which takes a slot when Go would not have blocked
		g.set.block(func() { g.Group.Go(reported) })
		return
	}
	g.set.started.Add(1)
}

// TryGo is [errgroup.Group.TryGo].
func (g *ErrGroup) TryGo(f func() error) bool {
	if !g.Group.TryGo(g.set.report(f)) {
		g.set.reject()
		return false
	}
	g.set.started.Add(1)
	return true
}

// report returns f as a function that is reported.
func (s *ErrGroups) report(f func() error) func() error {
	return func() error { return s.run(f) }
}

func (s *ErrGroups) run(f func() error) (err error) {
	s.mu.Lock()
	task := s.uses.Begin()
	s.mu.Unlock()
	how := instrument.Exited
	defer func() {
		task.CPU.End()
		s.mu.Lock()
		s.uses.End(task, how)
		s.mu.Unlock()
	}()
	task.CPU.Begin()
	err = f()
	how = instrument.OK
	if err != nil {
		how = instrument.Failed
	}
	return err
}

// block calls start, which blocks until a function has started.
func (s *ErrGroups) block(start func()) {
	s.mu.Lock()
	e := s.blocked.PushBack(s.now())
	s.mu.Unlock()
	start()
	s.started.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	since, _ := s.blocked.Remove(e).(time.Duration)
	if !s.uses.Off() {
		s.waits.Record(instrument.Now() - since)
	}
}

func (s *ErrGroups) reject() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected++
}

func (s *ErrGroups) now() time.Duration {
	if s.uses.Off() {
		return 0
	}
	return instrument.Now()
}

// Stats returns what all groups together have done and are doing.
func (s *ErrGroups) Stats() (st instrument.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses.Report(&st, instrument.OK, instrument.Failed, instrument.Exited)
	// A function counts from when it has its slot, even if it does not run yet. Its caller counts it after it took the slot, and it
	// may have ended by then. It gives the slot back after it has ended, so that what is used is never more than there are slots.
	acquired := max(s.started.Load(), s.uses.Acquired())
	st.Requests[instrument.Acquired] = instrument.Some(acquired)
	st.Usage[instrument.Used] = instrument.Some(acquired - s.uses.Acquired() + s.uses.InUse())
	st.Requests[instrument.Rejected] = instrument.Some(s.rejected)
	st.Pending = instrument.Some(int64(s.blocked.Len()))
	if s.uses.Off() {
		return st
	}
	st.Wait[instrument.Acquired] = s.waits.Clone()
	st.Wait[instrument.Acquired].RecordN(0, uint64(acquired)-s.waits.Count())
	st.Wait[instrument.Rejected] = new(instrument.Histogram)
	st.Wait[instrument.Rejected].RecordN(0, uint64(s.rejected))
	if first := s.blocked.Front(); first != nil {
		since, _ := first.Value.(time.Duration)
		st.PendingAge = instrument.Some(instrument.Now() - since)
	}
	return st
}

// Close ends the report. Groups that are at work go on.
func (s *ErrGroups) Close() { s.reg.Close() }
