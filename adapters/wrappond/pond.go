// Package wrappond instruments worker pools of github.com/alitto/pond.
package wrappond

import (
	"fmt"
	"math"

	"github.com/alitto/pond/v2"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the value of poolgauge.pool.kind for these pools.
const Kind = "pond"

// Pool reports metrics for p, which may be any of pond's pools, under name until the Registration
// is closed. Each collection reads
//
//   - the limit, if any, and the number of workers, all of which are used, since pond keeps no idle
//     workers,
//   - tasks in the queue (pending), and the queue's size unless it is unbounded,
//   - tasks that completed: ok or error, which includes panics,
//   - tasks dropped because the queue was full or the pool was stopped, which pond counts together
//     (rejected), and accepted tasks that did not run because the pool's context was canceled
//     (canceled).
//
// pond does not report how many tasks have started, which callers are blocked in Submit, how long a
// task waits, or how long it runs. Pools from pools.NewWorkers report all of this.
//
// A collection holds p's lock for a few ns. Closing the Registration does not stop p; the
// Registration may be closed before or after p is stopped.
func Pool(name string, p pond.BasePool, opts ...instrument.Option) (*instrument.Registration, error) {
	if p == nil {
		return nil, fmt.Errorf("pond pool %q: the pool is nil", name)
	}
	return instrument.Observe(name, Kind, func() instrument.Stats { return statsOf(p) }, opts...)
}

// statsOf converts pond's statistics to instrument.Stats.
func statsOf(p pond.BasePool) (s instrument.Stats) {
	if limit := p.MaxConcurrency(); limit != math.MaxInt {
		s.Limit = instrument.Some(int64(limit))
	}
	if size := p.QueueSize(); size != pond.Unbounded {
		s.PendingLimit = instrument.Some(int64(size))
	}
	s.Usage[instrument.Used] = instrument.Some(p.RunningWorkers())
	s.Pending = count(p.WaitingTasks())
	s.Requests[instrument.Rejected] = count(p.DroppedTasks())
	s.Requests[instrument.Canceled] = count(p.CanceledTasks())
	s.Completed[instrument.OK] = count(p.SuccessfulTasks())
	s.Completed[instrument.Failed] = count(p.FailedTasks())
	return s
}

func count(n uint64) instrument.Optional[int64] {
	return instrument.Some(int64(n))
}
