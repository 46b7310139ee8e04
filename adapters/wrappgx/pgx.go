// Package wrappgx instruments connection pools of github.com/jackc/pgx.
package wrappgx

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the value of poolgauge.pool.kind for these pools.
const Kind = "pgx"

// Pool reports metrics for p under name until the Registration is closed. Each collection takes one
// snapshot with [pgxpool.Pool.Stat]. It reports
//
//   - the limit, and connections used, idle and being established (constructing),
//   - requests that got a connection (acquired), and requests whose context was canceled or past
//     its deadline, which pgx counts together (canceled). pgx does not count requests that failed
//     because it could not connect. A request that finds a broken or expired connection takes
//     another one, and is counted once per connection,
//   - how many acquired requests had to wait, and their total wait time, as counters. pgx includes
//     the time to establish a connection: if waits grow when load rises after an idle
//     period, check how many connections are being established,
//   - connections closed because they were too old (max_lifetime) or idle for too long
//     (max_idle_time).
//
// pgx does not report which requests are waiting, how long each waits or uses a connection, or the
// waits of requests that gave up. It counts every attempt to connect as a new connection, even if
// it fails, so Pool omits new connections.
//
// A collection holds p's lock for about 1 µs with 100 connections. Closing the Registration does
// not close p; the two may be closed in either order.
func Pool(name string, p *pgxpool.Pool, opts ...instrument.Option) (*instrument.Registration, error) {
	if p == nil {
		return nil, fmt.Errorf("pgx pool %q: the *pgxpool.Pool is nil", name)
	}
	return instrument.Observe(name, Kind, func() instrument.Stats { return statsOf(p.Stat()) }, opts...)
}

// statsOf converts pgx statistics to instrument.Stats.
func statsOf(p *pgxpool.Stat) (s instrument.Stats) {
	s.Limit = instrument.Some(int64(p.MaxConns()))
	s.Usage[instrument.Used] = instrument.Some(int64(p.AcquiredConns()))
	s.Usage[instrument.Idle] = instrument.Some(int64(p.IdleConns()))
	s.Usage[instrument.Constructing] = instrument.Some(int64(p.ConstructingConns()))
	s.Requests[instrument.Acquired] = instrument.Some(p.AcquireCount())
	s.Requests[instrument.Canceled] = instrument.Some(p.CanceledAcquireCount())
	s.Waits = instrument.Some(p.EmptyAcquireCount())
	s.WaitTime = instrument.Some(p.EmptyAcquireWaitTime().Seconds())
	s.Resources = []instrument.Resources{
		{Event: instrument.Ended, Reason: "max_lifetime", Count: p.MaxLifetimeDestroyCount()},
		{Event: instrument.Ended, Reason: "max_idle_time", Count: p.MaxIdleDestroyCount()},
	}
	return s
}
