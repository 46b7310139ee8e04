// Package wrappuddle reports the resource pools of github.com/jackc/puddle.
package wrappuddle

import (
	"fmt"

	"github.com/jackc/puddle/v2"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the kind of the reported pools.
const Kind = "puddle"

// Pool reports p under name until the Registration is closed. Each collection takes one snapshot
// with [puddle.Pool.Stat]. It reports
//
//   - the limit, and resources used, idle and being made (constructing),
//   - requests that got a resource (acquired), and requests whose context was canceled or past its
//     deadline, which puddle counts together (canceled). puddle does not count requests that failed
//     because no resource could be made, nor calls of TryAcquire that got none,
//   - how many of those acquired had to wait, and their total wait, as counters. puddle includes
//     the time to make a resource in the wait: after a quiet start, compare with the resources
//     constructing.
//
// puddle does not report which requests are waiting, how long each waits or uses a resource, the
// waits of requests that gave up, or how many resources were made and destroyed. The pools of
// pools.NewResources do.
//
// A collection holds a lock of p for about 1 µs with 100 resources. Closing the Registration does
// not close p; close it before or after p.
func Pool[T any](name string, p *puddle.Pool[T], opts ...instrument.Option) (*instrument.Registration, error) {
	if p == nil {
		return nil, fmt.Errorf("puddle pool %q: the *puddle.Pool is nil, expected an open pool", name)
	}
	return instrument.Observe(name, Kind, func() instrument.Stats { return statsOf(p.Stat()) }, opts...)
}

// statsOf converts the statistics of puddle to the model.
func statsOf(p *puddle.Stat) (s instrument.Stats) {
	s.Limit = instrument.Some(int64(p.MaxResources()))
	s.Usage[instrument.Used] = instrument.Some(int64(p.AcquiredResources()))
	s.Usage[instrument.Idle] = instrument.Some(int64(p.IdleResources()))
	s.Usage[instrument.Constructing] = instrument.Some(int64(p.ConstructingResources()))
	s.Requests[instrument.Acquired] = instrument.Some(p.AcquireCount())
	s.Requests[instrument.Canceled] = instrument.Some(p.CanceledAcquireCount())
	s.Waits = instrument.Some(p.EmptyAcquireCount())
	s.WaitTime = instrument.Some(p.EmptyAcquireWaitTime().Seconds())
	return s
}
