// Package wrapredis reports the connection pools of github.com/redis/go-redis.
package wrapredis

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/instrument"
)

// Kind is the kind of pool that it reports.
const Kind = "redis"

// Pooled is a client of go-redis with pools: [redis.Client], [redis.ClusterClient], [redis.Ring] or
// [redis.UniversalClient].
type Pooled interface {
	PoolStats() *redis.PoolStats
}

// Client reports the connection pool of c under a name, until the Registration is closed; of a
// cluster or a ring, the pools of all its nodes together. Each collection takes one snapshot of
// redis.PoolStats:
//
//   - the limit, [redis.Options.PoolSize] or MaxActiveConns if that is less, and the requests that
//     are getting a connection, be it that they wait for one or make one (pending): of a
//     redis.Client only, since the others do not say,
//   - connections used and idle,
//   - requests that found a connection or went to make one (acquired), though that may have failed
//     then, and those that waited for longer than PoolTimeout (timeout). Those whose context was
//     done go-redis does not count,
//   - how many of those acquired waited for others, and for how long together, as counters,
//   - connections closed, for whatever reason (other).
//
// Of a redis.Client it also reports, by a hook, dials in progress (constructing) and those that
// failed, each attempt of several, those for subscriptions among them. And where [Recorder] is set
// before the client is made, instead of what the snapshot says of it:
//
//   - requests by how they end: acquired, also where no connection could be made (and completed as
//     an error), canceled and timeout,
//   - the wait of each, and for how long the oldest pending has waited. Of those that acquire,
//     making a connection is no part of it,
//   - uses, how long each was, how long the oldest has lasted, and whether the connection went back
//     (ok) or was closed (error),
//   - connections made, and how long that took with the handshake,
//   - connections closed, by reason: stale (too old, idle for too long, or found broken before it
//     was used), max_idle, broken, failover, pool_closed, other.
//
// Pipelines have a pool of their own, see [Pipelines], and so have subscriptions, see
// [Subscriptions].
//
// A collection takes a lock of the pool twice, for some ns. With the recorder a command takes about
// 1 µs more. It does not close c; close the Registration before or after it.
func Client(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	return observe(name, c, opts, commands, commandLimit, func(h *hook) *track { return h.main })
}

// Pipelines reports the connection pool of the pipelines of c, as Client does that of its other
// commands. Its limit is [redis.Options.PipelinePoolSize]; pipelines that find it full take a
// connection of the other one. A client without such a pool reports nothing.
func Pipelines(name string, c Pooled, opts ...instrument.Option) (*instrument.Registration, error) {
	return observe(name, c, opts, pipelines, pipelineLimit, func(h *hook) *track { return h.pipelines })
}

// Subscriptions reports the connections of the subscriptions of c, each of which has one of its
// own: how many there are (used), and how many were made and closed. There is no limit, and nothing
// waits.
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
	return fmt.Errorf("redis pool %q: the client is nil: want one that is open", name)
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

// totals continues the counters of go-redis, which have 32 bits and wrap at 2^32, and fall when a
// node leaves a cluster.
type totals struct {
	hits, misses, timeouts, waits, stale total
	waited                               struct{ last, sum int64 } // nanoseconds
}

// total is the sum of what a counter has grown.
type total struct {
	last uint32
	sum  int64
}

// at returns the sum when the counter is at n. A step of more than half its range is one backwards.
func (t *total) at(n uint32) instrument.Optional[int64] {
	if step := n - t.last; step < 1<<31 {
		t.sum += int64(step)
	}
	t.last = n
	return instrument.Some(t.sum)
}

// stats says in the words of the model what go-redis says.
func (t *totals) stats(p *redis.PoolStats) (s instrument.Stats) {
	// The two are read one after the other, so that a connection made between them could be idle
	// and not be there.
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
