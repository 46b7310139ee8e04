// Package wrapredis reports the connection pools of github.com/redis/go-redis.
package wrapredis

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the kind of the reported pools.
const Kind = "redis"

// Pooled is a go-redis client with connection pools: [redis.Client], [redis.ClusterClient],
// [redis.Ring] or [redis.UniversalClient].
type Pooled interface {
	PoolStats() *redis.PoolStats
}

// Client reports the connection pool of c under name until the Registration is closed. For a
// cluster or a ring, it reports the pools of all nodes together. Each collection takes one snapshot
// of redis.PoolStats. It reports
//
//   - for a redis.Client only: the limit, which is the smaller of [redis.Options.PoolSize] and
//     MaxActiveConns, and the requests that are waiting for a connection or making one (pending),
//   - connections used and idle,
//   - requests that found a connection or started to make one (acquired), even if that failed
//     later, and requests that waited for longer than PoolTimeout (timeout). go-redis does not
//     count requests whose context was done,
//   - how many of those acquired had to wait for others, and their total wait, as counters,
//   - connections closed, for whatever reason (other).
//
// For a redis.Client it also reports, with a hook, dials in progress (constructing) and failed
// dials. Each attempt counts, including those for subscriptions. If [Recorder] is set before the
// client is made, the following replaces the corresponding figures of the snapshot:
//
//   - requests by how they end: acquired, even if no connection could be made (then completed as an
//     error), canceled and timeout,
//   - the wait of each request, and how long the oldest pending request has waited. The wait of an
//     acquired request does not include the time to make a connection,
//   - uses: how long each was, how long the oldest has lasted, and whether the connection was
//     returned (ok) or closed (error),
//   - connections made, and how long that took, including the handshake,
//   - connections closed, by reason: stale (too old, idle for too long, or found broken before
//     use), max_idle, broken, failover, pool_closed, other.
//
// Pipelines and subscriptions have pools of their own; see [Pipelines] and [Subscriptions].
//
// A collection takes a lock of the pool twice, for a few ns. With the recorder, a command takes
// about 1 µs longer. Closing the Registration does not close c; close it before or after c.
func Client(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	return observe(name, c, opts, commands, commandLimit, func(h *hook) *track { return h.main })
}

// Pipelines reports the connection pool for the pipelines of c, as Client does for its other
// commands. The limit is [redis.Options.PipelinePoolSize]; a pipeline that finds the pool full
// takes a connection from the other pool. Nothing is reported for a client without such a pool.
func Pipelines(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	return observe(name, c, opts, pipelines, pipelineLimit, func(h *hook) *track { return h.pipelines })
}

// Subscriptions reports the connections for the subscriptions of c, each of which has its own: how
// many exist (used), and how many were made and closed. There is no limit, and nothing waits.
func Subscriptions(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	if c == nil {
		return nil, errNil(name)
	}
	var made, closed total
	return instrument.Observe(name, Kind, func() (s instrument.Stats) {
		p := c.PoolStats().PubSubStats
		s.Usage[instrument.Used] = instrument.Some(int64(p.Active))
		s.Resources = []instrument.Resources{
			{Event: instrument.Created, Count: made.at(p.Created).Or(0)},
			{Event: instrument.Ended, Reason: "other", Count: closed.at(p.Untracked).Or(0)},
		}
		return s
	}, opts...)
}

func errNil(name string) error {
	return fmt.Errorf("redis pool %q: the client is nil, expected an open client", name)
}

func observe(name string, c Pooled, opts []instrument.Option,
	pool func(*redis.PoolStats) *redis.PoolStats, limit func(*redis.Options) int, which func(*hook) *track,
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
	t := which(follow(client, opts))
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

// totals accumulates the 32-bit counters of go-redis in 64 bits. Those counters wrap at 2^32 and
// fall when a node leaves a cluster.
type totals struct {
	hits, misses, timeouts, waits, stale total
	waited                               struct{ last, sum int64 } // nanoseconds
}

// total is the sum of all increases of a counter.
type total struct {
	last uint32
	sum  int64
}

// at returns the sum when the counter is at n. A step of more than half the range is a step
// backwards.
func (t *total) at(n uint32) instrument.Optional[int64] {
	if step := n - t.last; step < 1<<31 {
		t.sum += int64(step)
	}
	t.last = n
	return instrument.Some(t.sum)
}

// stats converts the statistics of go-redis to the model.
func (t *totals) stats(p *redis.PoolStats) (s instrument.Stats) {
	// The two are not read at the same moment, so a connection made in between may count as idle
	// but not in the total.
	s.Usage[instrument.Used] = instrument.Some(max(0, int64(p.TotalConns)-int64(p.IdleConns)))
	s.Usage[instrument.Idle] = instrument.Some(int64(p.IdleConns))
	hits, misses := t.hits.at(p.Hits), t.misses.at(p.Misses)
	s.Requests[instrument.Acquired] = instrument.Some(hits.Or(0) + misses.Or(0))
	s.Requests[instrument.TimedOut] = t.timeouts.at(p.Timeouts)
	t.waited.sum += max(0, p.WaitDurationNs-t.waited.last)
	t.waited.last = p.WaitDurationNs
	s.Waits = t.waits.at(p.WaitCount)
	s.WaitTime = instrument.Some(time.Duration(t.waited.sum).Seconds())
	s.Resources = []instrument.Resources{
		{Event: instrument.Ended, Reason: "other", Count: t.stale.at(p.StaleConns).Or(0)},
	}
	return s
}
