// Package wrappond reports the worker pools of github.com/alitto/pond.
package wrappond

import (
	"fmt"
	"math"

	"github.com/alitto/pond/v2"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the kind of pool that it reports.
const Kind = "pond"

// Pool reports p, which may be any pool of pond, under a name, until the Registration is closed.
// Each collection reads
//
//   - the limit, unless there is none, and the workers (used): pond keeps none that is idle,
//   - tasks in the queue (pending), and its size, unless it is unbounded,
//   - tasks that ended: ok, or error, which is a panic too,
//   - tasks dropped since the queue was full or the pool stopped, which pond counts together
//     (rejected), and tasks that were accepted and not run since the context of the pool was
//     canceled (canceled).
//
// How many tasks have started pond does not say. Who is blocked in Submit, how long a task waits
// and how long it runs is not known either; a pool of pools.NewWorkers tells.
//
// A collection takes a lock of p for some ns. It does not stop p; close the Registration before or
// after it.
func Pool(name string, p pond.BasePool, opts ...instrument.Option) (*instrument.Registration, error) {
	if p == nil {
		return nil, fmt.Errorf("pond pool %q: the pool is nil: want one that is open", name)
	}
	return instrument.Observe(name, Kind, func() instrument.Stats { return statsOf(p) }, opts...)
}

// statsOf says in the words of the model what pond says.
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
