package wrapredis

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/instrument"
)

// installed reports whether the program has called Recorder. Without a recorder, hooks do nothing.
var installed atomic.Bool

// tracks holds the followed pools, by the names that go-redis gives them. The values are of type
// weak.Pointer[track], so that a client that the program has dropped can be collected.
var tracks sync.Map

// Recorder returns a recorder for go-redis. With it, [Client] and [Pipelines] also report how
// requests wait, how connections are used and why they are closed:
//
//	redis.SetOTelRecorder(wrapredis.Recorder()) // once, before the clients are made
//
// A process has only one recorder of go-redis, so Recorder takes other recorders to call as well.
// Without a recorder, [Client] and [Pipelines] report only what redis.PoolStats has.
func Recorder(also ...redis.OTelRecorder) redis.OTelRecorder {
	installed.Store(true)
	return recorder{passOn: also}
}

// trackOf returns the track of the named pool, or nil if the pool is not followed.
func trackOf(name string) *track {
	if t, ok := tracks.Load(name); ok {
		p, _ := t.(weak.Pointer[track])
		return p.Value()
	}
	return nil
}

// learn maps the name of a pool to its track, and removes tracks that have been collected.
func learn(name string, t *track) {
	tracks.Range(func(other, p any) bool {
		if w, _ := p.(weak.Pointer[track]); w.Value() == nil {
			tracks.Delete(other)
		}
		return true
	})
	tracks.Store(name, weak.Make(t))
}

// recorder records the events of all pools, and forwards them to other recorders.
type recorder struct{ passOn }

// RecordPendingRequests implements redis.OTelConnectionCounter.
func (r recorder) RecordPendingRequests(ctx context.Context, delta int, cn redis.ConnInfo, pool string) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		switch {
		case delta > 0:
			c.ask(ctx, pool)
		case cn == nil:
			c.fail(ctx)
		}
	}
	r.passOn.RecordPendingRequests(ctx, delta, cn, pool)
}

// RecordConnectionWaitTime implements redis.OTelRecorder: a connection was acquired.
func (r recorder) RecordConnectionWaitTime(ctx context.Context, waited time.Duration, cn redis.ConnInfo) {
	if t := trackOf(cn.PoolName()); t != nil {
		c, _ := ctx.Value(callKey{}).(*call)
		t.acquired(c, cn, waited)
	}
	r.passOn.RecordConnectionWaitTime(ctx, waited, cn)
}

// RecordConnectionCount implements redis.OTelConnectionCounter. A connection that becomes idle is
// no longer in use.
func (r recorder) RecordConnectionCount(
	ctx context.Context,
	delta int,
	cn redis.ConnInfo,
	state string,
	isPubSub bool,
) {
	if t := trackOf(cn.PoolName()); t != nil && delta > 0 && state == "idle" {
		t.released(cn, instrument.OK)
	}
	r.passOn.RecordConnectionCount(ctx, delta, cn, state, isPubSub)
}

// RecordConnectionClosed implements redis.OTelRecorder.
func (r recorder) RecordConnectionClosed(ctx context.Context, cn redis.ConnInfo, reason string, err error) {
	if t := trackOf(cn.PoolName()); t != nil {
		t.wasClosed(cn, reasonOf(reason))
	}
	r.passOn.RecordConnectionClosed(ctx, cn, reason, err)
}

// RecordConnectionCreateTime implements redis.OTelRecorder.
func (r recorder) RecordConnectionCreateTime(ctx context.Context, took time.Duration, cn redis.ConnInfo) {
	if t := trackOf(cn.PoolName()); t != nil {
		t.wasMade(took)
	}
	r.passOn.RecordConnectionCreateTime(ctx, took, cn)
}

// RecordError implements redis.OTelRecorder.
func (r recorder) RecordError(
	ctx context.Context,
	kind string,
	cn redis.ConnInfo,
	status string,
	internal bool,
	retries int,
) {
	if c, ok := ctx.Value(callKey{}).(*call); ok && kind == "POOL_TIMEOUT" {
		c.giveUp(instrument.TimedOut)
	}
	r.passOn.RecordError(ctx, kind, cn, status, internal, retries)
}
