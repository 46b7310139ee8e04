// Package wrapredis instruments connection pools of github.com/redis/go-redis.
package wrapredis

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the value of poolgauge.pool.kind for these pools.
const Kind = "redis"

// Pooled is a go-redis client with connection pools: [redis.Client], [redis.ClusterClient],
// [redis.Ring] or [redis.UniversalClient].
type Pooled interface {
	PoolStats() *redis.PoolStats
}

// Client reports metrics for c's connection pool under name until the Registration is closed. For a
// cluster or a ring, it reports the pools of all nodes together. Each collection takes one snapshot
// of redis.PoolStats. It reports
//
//   - for a redis.Client only: the limit, which is the smaller of [redis.Options.PoolSize] and
//     MaxActiveConns, and the requests that are waiting for a connection or dialing one (pending),
//   - connections used and idle,
//   - requests that found a connection or started to dial one (acquired), even if dialing failed,
//     and requests that waited for longer than PoolTimeout (timeout). go-redis does not count
//     requests whose context was done,
//   - how many acquired requests had to wait, and their total wait time, as counters,
//   - connections closed, for whatever reason (other).
//
// For a redis.Client it also installs a hook, and reports dials in progress (constructing) and
// failed dials. These include dials for subscriptions. If [Recorder] was installed before c was
// created, Client reports the following instead of the corresponding values of the snapshot:
//
//   - requests by outcome: acquired, even if dialing failed (the use then ends as an error),
//     canceled and timeout,
//   - how long each request waited, and how long the oldest pending request has waited. The wait of
//     an acquired request does not include the time to dial,
//   - uses: how long each lasted, the age of the oldest, and whether the connection was returned
//     (ok) or closed (error),
//   - connections established, and how long that took, including the handshake,
//   - connections closed, by reason: stale (too old, idle for too long, or found broken before
//     use), max_idle, broken, failover, pool_closed, other.
//
// Pipelines and subscriptions have pools of their own; see [Pipelines] and [Subscriptions].
//
// A collection takes the pool's lock twice, for a few ns each. With the recorder, a command takes
// about 1 µs longer. Closing the Registration does not close c; the two may be closed in either
// order.
func Client(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	return observe(name, c, opts, commands, commandLimit, func(h *hook) *track { return h.main })
}

// Pipelines reports metrics for the connection pool that c uses for pipelines, as [Client] does for
// the pool of other commands. The limit is [redis.Options.PipelinePoolSize]; a pipeline that finds
// the pool full takes a connection from the other pool. Nothing is reported for a client without
// such a pool.
func Pipelines(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	return observe(name, c, opts, pipelines, pipelineLimit, func(h *hook) *track { return h.pipelines })
}

// Subscriptions reports metrics for c's subscriptions, each of which has its own connection: how
// many connections exist (used), and how many were established and closed. Subscriptions have no
// limit and never wait for a connection.
func Subscriptions(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	if c == nil {
		return nil, errNil(name)
	}
	var created, closed total
	return instrument.Observe(name, Kind, func() (s instrument.Stats) {
		p := c.PoolStats().PubSubStats
		s.Usage[instrument.Used] = instrument.Some(int64(p.Active))
		s.Resources = []instrument.Resources{
			{Event: instrument.Created, Count: created.update(p.Created).Or(0)},
			{Event: instrument.Ended, Reason: "other", Count: closed.update(p.Untracked).Or(0)},
		}
		return s
	}, opts...)
}

func errNil(name string) error {
	return fmt.Errorf("redis pool %q: the client is nil", name)
}

func observe(name string, c Pooled, opts []instrument.Option,
	pool func(*redis.PoolStats) *redis.PoolStats, limit func(*redis.Options) int, trackOfPool func(*hook) *track,
) (*instrument.Registration, error) {
	if c == nil {
		return nil, errNil(name)
	}
	client, single := c.(*redis.Client)
	if !single || instrument.TimingOf(opts...).Off {
		var t totals
		return instrument.Observe(name, Kind, func() (s instrument.Stats) {
			if p := pool(c.PoolStats()); p != nil {
				s = t.stats(p)
			}
			return s
		}, opts...)
	}
	t := trackOfPool(hookOf(client, opts))
	return instrument.Observe(name, Kind, func() (s instrument.Stats) {
		if p := pool(client.PoolStats()); p != nil {
			s = t.stats(p)
			s.Limit = instrument.Some(int64(limit(client.Options())))
		}
		return s
	}, opts...)
}

func commands(s *redis.PoolStats) *redis.PoolStats { return s }

func pipelines(s *redis.PoolStats) *redis.PoolStats { return (*redis.PoolStats)(s.PipelineStats) }

func commandLimit(o *redis.Options) int {
	if o.MaxActiveConns > 0 {
		return min(o.PoolSize, o.MaxActiveConns)
	}
	return o.PoolSize
}

func pipelineLimit(o *redis.Options) int {
	if o.PipelinePoolSize == 0 {
		return redis.DefaultPipelinePoolSize
	}
	return o.PipelinePoolSize
}

// totals accumulates, in 64 bits, the increases of go-redis's 32-bit counters, which wrap around,
// and which decrease when a node leaves a cluster.
type totals struct {
	hits, misses, timeouts, waits, stale total
	waited                               struct{ last, sum int64 } // nanoseconds
}

// total is the sum of all increases of a counter.
type total struct {
	last uint32
	sum  int64
}

// update records that the counter is now n, and returns the updated sum. It treats an apparent
// increase by half the counter's range or more as a decrease.
func (t *total) update(n uint32) instrument.Optional[int64] {
	if step := n - t.last; step < 1<<31 {
		t.sum += int64(step)
	}
	t.last = n
	return instrument.Some(t.sum)
}

// stats converts go-redis's statistics to instrument.Stats.
func (t *totals) stats(p *redis.PoolStats) (s instrument.Stats) {
	// go-redis reads the two counts at different times. A connection established in between may be
	// counted as idle but not in the total.
	s.Usage[instrument.Used] = instrument.Some(max(0, int64(p.TotalConns)-int64(p.IdleConns)))
	s.Usage[instrument.Idle] = instrument.Some(int64(p.IdleConns))
	hits, misses := t.hits.update(p.Hits), t.misses.update(p.Misses)
	s.Requests[instrument.Acquired] = instrument.Some(hits.Or(0) + misses.Or(0))
	s.Requests[instrument.TimedOut] = t.timeouts.update(p.Timeouts)
	t.waited.sum += max(0, p.WaitDurationNs-t.waited.last)
	t.waited.last = p.WaitDurationNs
	s.Waits = t.waits.update(p.WaitCount)
	s.WaitTime = instrument.Some(time.Duration(t.waited.sum).Seconds())
	s.Resources = []instrument.Resources{
		{Event: instrument.Ended, Reason: "other", Count: t.stale.update(p.StaleConns).Or(0)},
	}
	return s
}
