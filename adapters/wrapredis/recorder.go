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

// installed reports whether a program has asked for a recorder: without one hooks need not look.
var installed atomic.Bool

// tracks are the pools that are followed, by the names that go-redis gives them: of
// weak.Pointer[track], since a client that the program has dropped must be collected.
var tracks sync.Map

// Recorder returns what go-redis tells how requests wait, how connections are used and why they are
// closed:
//
//	redis.SetOTelRecorder(wrapredis.Recorder()) // once, before the clients are made
//
// go-redis has one recorder in a process; those given here are called as well. Without it [Client]
// and [Pipelines] report what redis.PoolStats says.
func Recorder(also ...redis.OTelRecorder) redis.OTelRecorder {
	installed.Store(true)
	return recorder{passOn: also}
}

// trackOf returns the track of a pool, nil if it is not followed.
func trackOf(name string) *track {
	if t, ok := tracks.Load(name); ok {
		p, _ := t.(weak.Pointer[track])
		return p.Value()
	}
	return nil
}

// learn notes the name of the pool of a track, and forgets those of tracks that are gone.
func learn(name string, t *track) {
	tracks.Range(func(other, p any) bool {
		if w, _ := p.(weak.Pointer[track]); w.Value() == nil {
			tracks.Delete(other)
		}
		return true
	})
	tracks.Store(name, weak.Make(t))
}

// recorder hears of all pools, and passes on what it hears.
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

// RecordConnectionCount implements redis.OTelConnectionCounter: a connection that is idle is used
// no longer.
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
