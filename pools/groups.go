package pools

import (
	"context"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Groups makes groups that are reported together, under one name: a group lives as long as a request, a name as long as the program.
//
//	fanOut, err := pools.NewGroups("fan-out")  // once
//	…
//	g, ctx := fanOut.WithContext(ctx)          // per request
//
// All methods may be called concurrently.
type Groups struct {
	reg *instrument.Registration

	mu      sync.Mutex // guards what follows
	asked   askLedger
	ran     runLedger
	blocked workerCallers
	pending int64 // callers in blocked
}

// NewGroups returns Groups of a name, which must be unique among the live pools of the process; see [instrument.Observe].
func NewGroups(name string, opts ...instrument.Option) (*Groups, error) {
	s := &Groups{asked: newAskLedger(opts), ran: newRunLedger(opts)}
	var err error
	if s.reg, err = instrument.Observe(name, "group", s.Stats, opts...); err != nil {
		return nil, err
	}
	return s, nil
}

// Group returns a new Group, like the zero one but reported.
func (s *Groups) Group() *Group {
	return &Group{set: s}
}

// WithContext is the function [WithContext] for a Group that is reported.
func (s *Groups) WithContext(ctx context.Context) (*Group, context.Context) {
	g, ctx := WithContext(ctx)
	g.set = s
	return g, ctx
}

// Stats returns what all groups together have done and are doing, all of one moment. Each group has its own limit, and there may be
// any number of groups, so Limit is absent. The wait is the time that Go was blocked. A function that did not return counts as exit:
// had it panicked, nobody could ask.
func (s *Groups) Stats() (stats instrument.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tally(&stats, &s.asked, &s.ran)
	stats.Pending = instrument.Some(s.pending)
	if c := s.blocked.first; c != nil && !s.asked.sampler.Off() {
		stats.PendingAge = instrument.Some(instrument.Now() - c.since)
	}
	return stats
}

// Close ends the report. Groups that are still at work go on.
func (s *Groups) Close() {
	s.reg.Close()
}

// groupUse is one call of a function. Its goroutine owns it.
type groupUse struct {
	taskUse
	err      error
	returned bool
}

// The methods below do nothing for a nil Groups.

// block notes that a caller of Go is about to block.
func (s *Groups) block() *workerCaller {
	if s == nil {
		return nil
	}
	c := new(workerCaller)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.since = s.asked.now()
	s.blocked.push(c)
	s.pending++
	return c
}

func (s *Groups) reject() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked.refuse(instrument.Rejected, 0)
}

// start notes that a function is about to be called. Blocked is nil if Go did not block.
func (s *Groups) start(blocked *workerCaller) (use groupUse) {
	if s == nil {
		return use
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var wait time.Duration
	if blocked != nil {
		s.blocked.remove(blocked)
		s.pending--
		wait = s.asked.now() - blocked.since
	}
	s.asked.sampler.Timed(s.ran.pace())
	use.taskUse = s.ran.startDirect(wait, s.asked.ask())
	return use
}

func (s *Groups) end(use *groupUse) {
	if s == nil {
		return
	}
	how := instrument.OK
	switch {
	case !use.returned:
		how = instrument.Exited
	case use.err != nil:
		how = instrument.Failed
	}
	var now time.Duration
	if use.began != 0 {
		now = instrument.Now()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran.end(use.taskUse, how, now)
}
