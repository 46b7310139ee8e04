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

// installed reports whether the program has called Recorder. If it has not, the hooks for commands
// record nothing.
var installed atomic.Bool

// tracks maps go-redis's pool names to the pools' tracks. The values are of type
// weak.Pointer[track], so that the garbage collector can free clients that the program no longer
// uses.
var tracks sync.Map

// Recorder returns a go-redis recorder. Once it is installed, [Client] and [Pipelines] also report
// how requests wait, how connections are used and why they are closed:
//
//	redis.SetOTelRecorder(wrapredis.Recorder()) // once, before creating clients
//
// go-redis has one recorder per process, so the returned recorder forwards every call to others. If
// it is not installed, [Client] and [Pipelines] report only what redis.PoolStats contains.
func Recorder(others ...redis.OTelRecorder) redis.OTelRecorder {
	installed.Store(true)
	return recorder{forwarder: others}
}

// trackOf returns the track of the pool called name, or nil if there is none.
func trackOf(name string) *track {
	if t, ok := tracks.Load(name); ok {
		p, _ := t.(weak.Pointer[track])
		return p.Value()
	}
	return nil
}

// storeTrack stores t as the track of the pool called name, and deletes the entries of tracks that
// have been garbage-collected.
func storeTrack(name string, t *track) {
	tracks.Range(func(other, p any) bool {
		if w, _ := p.(weak.Pointer[track]); w.Value() == nil {
			tracks.Delete(other)
		}
		return true
	})
	tracks.Store(name, weak.Make(t))
}

// recorder records the events of all pools, and forwards them to other recorders.
type recorder struct{ forwarder }

// RecordPendingRequests implements redis.OTelConnectionCounter.
func (r recorder) RecordPendingRequests(ctx context.Context, delta int, cn redis.ConnInfo, pool string) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		switch {
		case delta > 0:
			c.startRequest(ctx, pool)
		case cn == nil:
			c.failRequest(ctx)
		}
	}
	r.forwarder.RecordPendingRequests(ctx, delta, cn, pool)
}

// RecordConnectionWaitTime implements redis.OTelRecorder. go-redis calls it when a request has
// acquired cn.
func (r recorder) RecordConnectionWaitTime(ctx context.Context, waited time.Duration, cn redis.ConnInfo) {
	if t := trackOf(cn.PoolName()); t != nil {
		c, _ := ctx.Value(callKey{}).(*call)
		t.startUse(c, cn, waited)
	}
	r.forwarder.RecordConnectionWaitTime(ctx, waited, cn)
}

// RecordConnectionCount implements redis.OTelConnectionCounter. When a connection
// becomes idle, its use ends.
func (r recorder) RecordConnectionCount(
	ctx context.Context,
	delta int,
	cn redis.ConnInfo,
	state string,
	isPubSub bool,
) {
	if t := trackOf(cn.PoolName()); t != nil && delta > 0 && state == "idle" {
		t.endUse(cn, instrument.OK)
	}
	r.forwarder.RecordConnectionCount(ctx, delta, cn, state, isPubSub)
}

// RecordConnectionClosed implements redis.OTelRecorder.
func (r recorder) RecordConnectionClosed(ctx context.Context, cn redis.ConnInfo, reason string, err error) {
	if t := trackOf(cn.PoolName()); t != nil {
		t.recordClose(cn, reasonOf(reason))
	}
	r.forwarder.RecordConnectionClosed(ctx, cn, reason, err)
}

// RecordConnectionCreateTime implements redis.OTelRecorder.
func (r recorder) RecordConnectionCreateTime(ctx context.Context, took time.Duration, cn redis.ConnInfo) {
	if t := trackOf(cn.PoolName()); t != nil {
		t.recordCreate(took)
	}
	r.forwarder.RecordConnectionCreateTime(ctx, took, cn)
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
		c.abandonRequest(instrument.TimedOut)
	}
	r.forwarder.RecordError(ctx, kind, cn, status, internal, retries)
}
