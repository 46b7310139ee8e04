package wrapredis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// forwarder is a recorder that forwards all calls to the recorders in it.
type forwarder []redis.OTelRecorder

// RecordOperationDuration forwards the call.
func (f forwarder) RecordOperationDuration(
	ctx context.Context,
	d time.Duration,
	cmd redis.Cmder,
	attempts int,
	err error,
	cn redis.ConnInfo,
	db int,
) {
	for _, r := range f {
		r.RecordOperationDuration(ctx, d, cmd, attempts, err, cn, db)
	}
}

// RecordPipelineOperationDuration forwards the call.
func (f forwarder) RecordPipelineOperationDuration(
	ctx context.Context, d time.Duration, name string, n, attempts int, err error, cn redis.ConnInfo, db int,
) {
	for _, r := range f {
		r.RecordPipelineOperationDuration(ctx, d, name, n, attempts, err, cn, db)
	}
}

// RecordConnectionCreateTime forwards the call.
func (f forwarder) RecordConnectionCreateTime(ctx context.Context, d time.Duration, cn redis.ConnInfo) {
	for _, r := range f {
		r.RecordConnectionCreateTime(ctx, d, cn)
	}
}

// RecordConnectionRelaxedTimeout forwards the call.
func (f forwarder) RecordConnectionRelaxedTimeout(
	ctx context.Context, delta int, cn redis.ConnInfo, pool, kind string,
) {
	for _, r := range f {
		r.RecordConnectionRelaxedTimeout(ctx, delta, cn, pool, kind)
	}
}

// RecordConnectionHandoff forwards the call.
func (f forwarder) RecordConnectionHandoff(ctx context.Context, cn redis.ConnInfo, pool string) {
	for _, r := range f {
		r.RecordConnectionHandoff(ctx, cn, pool)
	}
}

// RecordError forwards the call.
func (f forwarder) RecordError(
	ctx context.Context,
	kind string,
	cn redis.ConnInfo,
	status string,
	internal bool,
	retries int,
) {
	for _, r := range f {
		r.RecordError(ctx, kind, cn, status, internal, retries)
	}
}

// RecordMaintenanceNotification forwards the call.
func (f forwarder) RecordMaintenanceNotification(ctx context.Context, cn redis.ConnInfo, kind string) {
	for _, r := range f {
		r.RecordMaintenanceNotification(ctx, cn, kind)
	}
}

// RecordConnectionWaitTime forwards the call.
func (f forwarder) RecordConnectionWaitTime(ctx context.Context, d time.Duration, cn redis.ConnInfo) {
	for _, r := range f {
		r.RecordConnectionWaitTime(ctx, d, cn)
	}
}

// RecordConnectionClosed forwards the call.
func (f forwarder) RecordConnectionClosed(ctx context.Context, cn redis.ConnInfo, reason string, err error) {
	for _, r := range f {
		r.RecordConnectionClosed(ctx, cn, reason, err)
	}
}

// RecordPubSubMessage forwards the call.
func (f forwarder) RecordPubSubMessage(
	ctx context.Context, cn redis.ConnInfo, direction, channel string, sharded bool,
) {
	for _, r := range f {
		r.RecordPubSubMessage(ctx, cn, direction, channel, sharded)
	}
}

// RecordStreamLag forwards the call.
func (f forwarder) RecordStreamLag(
	ctx context.Context,
	lag time.Duration,
	cn redis.ConnInfo,
	stream, group, consumer string,
) {
	for _, r := range f {
		r.RecordStreamLag(ctx, lag, cn, stream, group, consumer)
	}
}

// RecordConnectionCount forwards the call.
func (f forwarder) RecordConnectionCount(
	ctx context.Context, delta int, cn redis.ConnInfo, state string, isPubSub bool,
) {
	for _, r := range f {
		if c, ok := r.(redis.OTelConnectionCounter); ok {
			c.RecordConnectionCount(ctx, delta, cn, state, isPubSub)
		}
	}
}

// RecordPendingRequests forwards the call.
func (f forwarder) RecordPendingRequests(ctx context.Context, delta int, cn redis.ConnInfo, pool string) {
	for _, r := range f {
		if c, ok := r.(redis.OTelConnectionCounter); ok {
			c.RecordPendingRequests(ctx, delta, cn, pool)
		}
	}
}

// registrars passes each recorder that implements redis.OTelPoolRegistrar to call.
func (f forwarder) registrars(call func(redis.OTelPoolRegistrar)) {
	for _, r := range f {
		if registrar, ok := r.(redis.OTelPoolRegistrar); ok {
			call(registrar)
		}
	}
}

// RegisterPool forwards the call.
func (f forwarder) RegisterPool(name string, pool redis.Pooler) {
	f.registrars(func(r redis.OTelPoolRegistrar) { r.RegisterPool(name, pool) })
}

// UnregisterPool forwards the call.
func (f forwarder) UnregisterPool(pool redis.Pooler) {
	f.registrars(func(r redis.OTelPoolRegistrar) { r.UnregisterPool(pool) })
}

// RegisterPubSubPool forwards the call.
func (f forwarder) RegisterPubSubPool(name string, pool redis.PubSubPooler) {
	f.registrars(func(r redis.OTelPoolRegistrar) { r.RegisterPubSubPool(name, pool) })
}

// UnregisterPubSubPool forwards the call.
func (f forwarder) UnregisterPubSubPool(pool redis.PubSubPooler) {
	f.registrars(func(r redis.OTelPoolRegistrar) { r.UnregisterPubSubPool(pool) })
}
