package wrapredis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// passOn is a recorder that forwards all calls to the recorders in it.
type passOn []redis.OTelRecorder

// RecordOperationDuration forwards the call.
func (p passOn) RecordOperationDuration(
	ctx context.Context,
	d time.Duration,
	cmd redis.Cmder,
	attempts int,
	err error,
	cn redis.ConnInfo,
	db int,
) {
	for _, r := range p {
		r.RecordOperationDuration(ctx, d, cmd, attempts, err, cn, db)
	}
}

// RecordPipelineOperationDuration forwards the call.
func (p passOn) RecordPipelineOperationDuration(
	ctx context.Context, d time.Duration, name string, n, attempts int, err error, cn redis.ConnInfo, db int,
) {
	for _, r := range p {
		r.RecordPipelineOperationDuration(ctx, d, name, n, attempts, err, cn, db)
	}
}

// RecordConnectionCreateTime forwards the call.
func (p passOn) RecordConnectionCreateTime(ctx context.Context, d time.Duration, cn redis.ConnInfo) {
	for _, r := range p {
		r.RecordConnectionCreateTime(ctx, d, cn)
	}
}

// RecordConnectionRelaxedTimeout forwards the call.
func (p passOn) RecordConnectionRelaxedTimeout(ctx context.Context, delta int, cn redis.ConnInfo, pool, kind string) {
	for _, r := range p {
		r.RecordConnectionRelaxedTimeout(ctx, delta, cn, pool, kind)
	}
}

// RecordConnectionHandoff forwards the call.
func (p passOn) RecordConnectionHandoff(ctx context.Context, cn redis.ConnInfo, pool string) {
	for _, r := range p {
		r.RecordConnectionHandoff(ctx, cn, pool)
	}
}

// RecordError forwards the call.
func (p passOn) RecordError(
	ctx context.Context,
	kind string,
	cn redis.ConnInfo,
	status string,
	internal bool,
	retries int,
) {
	for _, r := range p {
		r.RecordError(ctx, kind, cn, status, internal, retries)
	}
}

// RecordMaintenanceNotification forwards the call.
func (p passOn) RecordMaintenanceNotification(ctx context.Context, cn redis.ConnInfo, kind string) {
	for _, r := range p {
		r.RecordMaintenanceNotification(ctx, cn, kind)
	}
}

// RecordConnectionWaitTime forwards the call.
func (p passOn) RecordConnectionWaitTime(ctx context.Context, d time.Duration, cn redis.ConnInfo) {
	for _, r := range p {
		r.RecordConnectionWaitTime(ctx, d, cn)
	}
}

// RecordConnectionClosed forwards the call.
func (p passOn) RecordConnectionClosed(ctx context.Context, cn redis.ConnInfo, reason string, err error) {
	for _, r := range p {
		r.RecordConnectionClosed(ctx, cn, reason, err)
	}
}

// RecordPubSubMessage forwards the call.
func (p passOn) RecordPubSubMessage(ctx context.Context, cn redis.ConnInfo, direction, channel string, sharded bool) {
	for _, r := range p {
		r.RecordPubSubMessage(ctx, cn, direction, channel, sharded)
	}
}

// RecordStreamLag forwards the call.
func (p passOn) RecordStreamLag(
	ctx context.Context,
	lag time.Duration,
	cn redis.ConnInfo,
	stream, group, consumer string,
) {
	for _, r := range p {
		r.RecordStreamLag(ctx, lag, cn, stream, group, consumer)
	}
}

// RecordConnectionCount forwards the call.
func (p passOn) RecordConnectionCount(ctx context.Context, delta int, cn redis.ConnInfo, state string, isPubSub bool) {
	for _, r := range p {
		if c, ok := r.(redis.OTelConnectionCounter); ok {
			c.RecordConnectionCount(ctx, delta, cn, state, isPubSub)
		}
	}
}

// RecordPendingRequests forwards the call.
func (p passOn) RecordPendingRequests(ctx context.Context, delta int, cn redis.ConnInfo, pool string) {
	for _, r := range p {
		if c, ok := r.(redis.OTelConnectionCounter); ok {
			c.RecordPendingRequests(ctx, delta, cn, pool)
		}
	}
}

// registrars calls f for each recorder that implements redis.OTelPoolRegistrar.
func (p passOn) registrars(f func(redis.OTelPoolRegistrar)) {
	for _, r := range p {
		if to, ok := r.(redis.OTelPoolRegistrar); ok {
			f(to)
		}
	}
}

// RegisterPool forwards the call.
func (p passOn) RegisterPool(name string, pool redis.Pooler) {
	p.registrars(func(r redis.OTelPoolRegistrar) { r.RegisterPool(name, pool) })
}

// UnregisterPool forwards the call.
func (p passOn) UnregisterPool(pool redis.Pooler) {
	p.registrars(func(r redis.OTelPoolRegistrar) { r.UnregisterPool(pool) })
}

// RegisterPubSubPool forwards the call.
func (p passOn) RegisterPubSubPool(name string, pool redis.PubSubPooler) {
	p.registrars(func(r redis.OTelPoolRegistrar) { r.RegisterPubSubPool(name, pool) })
}

// UnregisterPubSubPool forwards the call.
func (p passOn) UnregisterPubSubPool(pool redis.PubSubPooler) {
	p.registrars(func(r redis.OTelPoolRegistrar) { r.UnregisterPubSubPool(pool) })
}
