// Package wrappuddle instruments resource pools of github.com/jackc/puddle.
package wrappuddle

import (
	"fmt"

	"github.com/jackc/puddle/v2"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the value of poolgauge.pool.kind for these pools.
const Kind = "puddle"

// Pool reports metrics for p under name until the Registration is closed. Each collection takes one
// snapshot with [puddle.Pool.Stat]. It reports
//
//   - the limit, and resources used, idle and being created (constructing),
//   - requests that got a resource (acquired), and requests whose context was canceled or past its
//     deadline, which puddle counts together (canceled). puddle does not count requests that failed
//     because their resource could not be created, nor calls to TryAcquire that got no resource,
//   - how many acquired requests had to wait, and their total wait time, as counters. puddle
//     includes the time to create a resource: if waits grow when load rises after an idle
//     period, check how many resources are being created.
//
// puddle does not report which requests are waiting, how long each waits or uses a resource, the
// waits of requests that gave up, or how many resources were created and destroyed. Pools from
// pools.NewResources report all of this.
//
// A collection holds p's lock for about 1 µs with 100 resources. Closing the Registration does not
// close p; the two may be closed in either order.
func Pool[T any](name string, p *puddle.Pool[T], opts ...instrument.Option) (*instrument.Registration, error) {
	if p == nil {
		return nil, fmt.Errorf("puddle pool %q: the *puddle.Pool is nil", name)
	}
	return instrument.Observe(name, Kind, func() instrument.Stats { return statsOf(p.Stat()) }, opts...)
}

// statsOf converts puddle's statistics to instrument.Stats.
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
