// Package relay is the one way of points to the upstream: those of the app and of the sidecar itself are received, enriched, queued and
// exported. What was accepted is lost only where a figure says so.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/collector/receive"
)

// Config says where points come from and go to.
type Config struct {
	GRPC, HTTP string // addresses where the app's points are taken; empty: none
	Socket     string // path of a unix socket where they are taken too; empty: none
	Rate       int64  // points a second that are taken from the app; 0: no limit

	Add   attribute.Set // attributes that the app's resources get where they lack them
	Queue queue.Config  // its Log is that below

	Signals []otlp.Signal // those that the app may send: the client has an endpoint for them
	Client  export.Client // to the upstream; the relay closes it, also when Start fails
	Policy  export.Policy // how patient it is

	Meter metric.Meter // for figures about the relay
	Log   *slog.Logger
}

// Relay takes points until it is shut down. Methods are safe for concurrent use.
type Relay struct {
	queue    *queue.Queue
	exporter *export.Exporter
	server   *receive.Server
	signals  []otlp.Signal
	own      *own
	add      atomic.Pointer[otlp.Attributes]
	refused  refusals
	log      *slog.Logger
}

// Start opens the queue, and begins to send what it holds and to take points. [Relay.Shutdown] ends it.
func Start(ctx context.Context, cfg Config) (_ *Relay, err error) {
	r := &Relay{signals: cfg.Signals, log: cfg.Log}
	if err = r.Enrich(cfg.Add); err != nil {
		return nil, errors.Join(err, cfg.Client.Close())
	}
	cfg.Queue.Log = cfg.Log
	if r.queue, err = queue.Open(cfg.Queue); err != nil {
		return nil, errors.Join(err, cfg.Client.Close())
	}
	if r.exporter, err = export.New(r.queue, cfg.Client, cfg.Policy, cfg.Meter, cfg.Log); err != nil {
		return nil, errors.Join(err, r.queue.Close(), cfg.Client.Close())
	}
	if err = r.observe(cfg.Meter); err == nil {
		err = r.listen(ctx, &cfg)
	}
	if err != nil {
		return nil, errors.Join(err, r.exporter.Drain(done()), r.queue.Close())
	}
	return r, nil
}

// Enrich changes the attributes that the app's resources get where they lack them. It returns an error for more than 64.
func (r *Relay) Enrich(add attribute.Set) error {
	attributes, err := otlp.NewAttributes(add)
	if err == nil {
		r.add.Store(&attributes)
	}
	return err
}

// listen begins to take points.
func (r *Relay) listen(ctx context.Context, cfg *Config) (err error) {
	r.server, err = receive.Listen(ctx, receive.Config{
		GRPCAddress: cfg.GRPC, HTTPAddress: cfg.HTTP, Socket: cfg.Socket, Rate: cfg.Rate,
		Accept: r.accept, Own: r.put, Refused: r.refused.add, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	cfg.Log.Debug("taking OTLP", "grpc", r.server.GRPCAddr(), "http", r.server.HTTPAddr(), "socket", cfg.Socket)
	r.own, err = startOwn(r.server, cfg.Log)
	return err
}

// accept takes a batch of the app.
func (r *Relay) accept(ctx context.Context, b otlp.Batch) (err error) {
	if !slices.Contains(r.signals, b.Signal) {
		return &receive.Refusal{Reason: receive.Unsupported, Message: "the sidecar has no endpoint to send " + b.Signal.String() + " to"}
	}
	if b.Data, err = otlp.Enrich(b.Data, *r.add.Load()); err != nil {
		return err
	}
	return r.put(ctx, b)
}

func (r *Relay) put(ctx context.Context, b otlp.Batch) error {
	err := r.queue.Put(ctx, b)
	var tooLarge *queue.TooLargeError
	if errors.As(err, &tooLarge) {
		return &receive.Refusal{Reason: receive.TooLarge, Message: err.Error()}
	}
	return err
}

// Ready returns an error if the upstream did not take the last request, and what is queued.
func (r *Relay) Ready() (state string, err error) {
	a := r.exporter.Account()
	return describe(&a.Queue, time.Now()), r.exporter.Ready()
}

func describe(a *queue.Account, now time.Time) string {
	where := "in memory"
	switch {
	case a.Durable:
		where = "on disk"
	case a.OnDisk:
		where = "in memory, since the disk fails"
	}
	if a.Oldest.IsZero() {
		return fmt.Sprintf("queue %s: empty, limit %d bytes", where, a.Limit)
	}
	return fmt.Sprintf("queue %s: %d points, %d of %d bytes, oldest %v", where, a.Queued(), a.Usage, a.Limit,
		now.Sub(a.Oldest).Round(time.Millisecond))
}

// Shutdown takes no more points, sends what is queued until ctx is done, and leaves the rest to the next start, if the queue has a
// directory. Call it after the last use of [Relay.Push].
func (r *Relay) Shutdown(ctx context.Context) error {
	err := errors.Join(r.own.close(ctx), r.server.Shutdown(ctx), r.exporter.Drain(ctx))
	a := r.queue.Account()
	closed := r.queue.Close()
	if a.Queued() > 0 {
		r.log.Warn("stopped before the upstream took every point", "points", a.Queued(), "kept", a.Durable && closed == nil)
	}
	if !a.OnDisk {
		closed = nil // it says the same
	}
	return errors.Join(err, closed)
}

// done returns a context that is done.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
