// Package relay carries telemetry to the upstream. Items of the app and of the sidecar itself are
// received, enriched, queued and exported, in one lane per signal and one for the sidecar's own
// metrics. Every accepted item that is lost is counted.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/collector/receive"
)

// Config configures a relay.
type Config struct {
	GRPC, HTTP  string                      // addresses on which to receive the app's telemetry; empty: none
	Socket      string                      // path of a Unix socket to receive on as well; empty: none
	Rate        int64                       // maximum items per second from the app; 0: no limit
	Connections int                         // maximum per listener; 0: the receiver's default
	RequestSize int                         // maximum bytes per request; 0: the receiver's default
	TLS         func() (*tls.Config, error) // TLS configuration of the listeners; nil: no TLS

	Add   attribute.Set // attributes to add to the app's resources if missing
	Queue queue.Config  // Log and Lanes are set by the relay
	Live  bool          // export fresh metrics before the backlog

	// Dial returns a lane for the given signal, with Client, Upstream and Timeout set. Client is nil
	// if the signal has no endpoint. Dial is called once for each lane.
	Dial   func(otlp.Signal) (export.Lane, error)
	Policy export.Policy // retries and pace of the exporter

	// Tap, if not nil, is called with each accepted metrics request. It must not retain or modify the
	// request, and must not block. With a Tap, metrics are accepted even if they have no endpoint.
	Tap func(request []byte)

	// Bear, if not nil, is called with the error if a listener or the queue's directory cannot be
	// opened. If Bear returns nil, the relay continues without the listener or directory.
	Bear       func(error) error
	LogDropped func() int64 // number of log lines dropped; nil: unknown
	Meter      metric.Meter // for metrics about the relay
	Log        *slog.Logger
}

const (
	// gatherTime is how long items may wait for more items to be sent in the same request, so that
	// a busy app's many small requests become fewer.
	gatherTime = 10 * time.Millisecond
	// inFlight is how many requests of a lane may be in flight if their order does not matter. When
	// metrics are sent oldest first, only one request is in flight: Prometheus and similar backends
	// reject out-of-order samples.
	inFlight = 2
	// maxGrowth is how many bytes the added attributes may add to a request. Without a limit, a
	// request with a great many tiny groups would become many times as large.
	maxGrowth = 1 << 20
	// receivingDivisor determines the share of the shutdown time that is reserved for requests that
	// are still being received, which is 1/receivingDivisor.
	receivingDivisor = 4
	// maxWait is how long a request may wait for room and for the disk, if its client's deadline is
	// not earlier.
	maxWait = 8 * time.Second
)

// Relay receives and exports until it is shut down. It is safe for concurrent use.
type Relay struct {
	queue    *queue.Queue
	exporter *export.Exporter
	server   *receive.Server
	signals  map[otlp.Signal]bool // signals that have an endpoint
	add      atomic.Pointer[otlp.Attributes]
	tap      func(request []byte)
	refused  refusals
	dropped  func() int64
	log      *slog.Logger
}

// Start opens the queue and starts receiving and sending. Items already in the queue are sent
// first, except metrics if cfg.Live is set. Call [Relay.Shutdown] to stop the relay.
func Start(ctx context.Context, cfg Config) (_ *Relay, err error) {
	r := &Relay{signals: map[otlp.Signal]bool{}, dropped: cfg.LogDropped, tap: cfg.Tap, log: cfg.Log}
	r.refused.log = cfg.Log
	if err := r.Enrich(cfg.Add); err != nil {
		return nil, err
	}
	lanes, err := r.dial(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Queue.Log = cfg.Log; len(r.signals) == 0 {
		cfg.Queue.Log = slog.New(slog.DiscardHandler) // nothing is ever queued
	}
	if cfg.Live {
		cfg.Queue.Fresh = []queue.Lane{queue.Metrics, queue.Own}
	}
	if r.queue, err = queue.Open(
		cfg.Queue,
	); err != nil && cfg.Bear != nil && cfg.Queue.Dir != "" &&
		cfg.Bear(err) == nil {
		cfg.Queue.Dir = "" // in memory
		r.queue, err = queue.Open(cfg.Queue)
	}
	if err != nil {
		return nil, errors.Join(err, closeClients(lanes))
	}
	if r.exporter, err = export.New(r.queue, lanes, cfg.Policy, cfg.Meter, cfg.Log); err != nil {
		return nil, errors.Join(err, r.queue.Close(ctx), closeClients(lanes))
	}
	if err = r.observe(cfg.Meter); err == nil {
		err = r.listen(ctx, &cfg)
	}
	if err != nil {
		return nil, errors.Join(err, r.exporter.Drain(doneContext()), r.queue.Close(ctx))
	}
	return r, nil
}

// dial creates the lanes and configures the queue for them.
func (r *Relay) dial(cfg *Config) (lanes []export.Lane, err error) {
	for _, id := range queue.Lanes() {
		lane, err := cfg.Dial(id.Signal())
		if err != nil {
			return nil, errors.Join(err, closeClients(lanes))
		}
		lane.ID, lane.InFlight, lane.Gather = id, inFlight, gatherTime
		if id.Signal() == otlp.Metrics && !cfg.Live {
			lane.InFlight = 1
		}
		if id == queue.Own {
			lane.InFlight, lane.Gather = 1, 0
		}
		if lane.Client == nil {
			lane.Client, lane.InFlight, lane.Timeout = export.Nowhere(), 1, time.Second
		} else {
			r.signals[id.Signal()] = true
			cfg.Queue.Lanes = append(cfg.Queue.Lanes, id)
		}
		lanes = append(lanes, lane)
	}
	return lanes, nil
}

func closeClients(lanes []export.Lane) (err error) {
	for _, l := range lanes {
		err = errors.Join(err, l.Client.Close())
	}
	return err
}

// Enrich sets the attributes that are added to the app's resources if missing. It returns an error
// if there are more than 64.
func (r *Relay) Enrich(add attribute.Set) error {
	attributes, err := otlp.NewAttributes(add)
	if err == nil {
		r.add.Store(&attributes)
	}
	return err
}

// listen starts the receiver.
func (r *Relay) listen(ctx context.Context, cfg *Config) (err error) {
	r.server, err = receive.Listen(ctx, receive.Config{
		GRPCAddress: cfg.GRPC,
		HTTPAddress: cfg.HTTP,
		Socket:      cfg.Socket,
		Rate:        cfg.Rate,
		Connections: cfg.Connections,
		RequestSize: cfg.RequestSize,
		TLS:         cfg.TLS,
		Enrich:      r.enrich,
		Accept:      r.take,
		Refused:     r.refused.add,
		Bear:        cfg.Bear,
		Log:         cfg.Log,
	})
	if err != nil {
		return err
	}
	cfg.Log.Debug("receiving OTLP", "grpc", r.server.GRPCAddr(), "http", r.server.HTTPAddr(), "socket", cfg.Socket)
	return nil
}

// enrich returns data, a request from the app, with missing attributes added.
func (r *Relay) enrich(signal otlp.Signal, data []byte) ([]byte, error) {
	if !r.signals[signal] && !r.taps(signal) {
		return nil, &receive.Refusal{
			Reason:  receive.Unsupported,
			Message: "the sidecar is not configured to relay " + signal.String(),
		}
	}
	enriched, err := otlp.EnrichInPlace(data, *r.add.Load(), len(data)+maxGrowth)
	if errors.Is(err, otlp.ErrTooLarge) {
		return nil, &receive.Refusal{Reason: receive.TooLarge, Message: err.Error()}
	}
	return enriched, err
}

// taps reports whether requests for signal are passed to the tap.
func (r *Relay) taps(signal otlp.Signal) bool { return r.tap != nil && signal == otlp.Metrics }

// take queues b, a batch from the app, if its signal has an endpoint. It then passes b to the tap,
// if b contains metrics. If queuing fails, take returns the error and skips the tap.
func (r *Relay) take(ctx context.Context, b otlp.Batch) error {
	if r.signals[b.Signal] {
		if err := r.put(ctx, b); err != nil {
			return err
		}
	}
	if r.taps(b.Signal) {
		r.tap(b.Data)
	}
	return nil
}

// put queues b, a batch from the app. It gives up waiting for room and for the disk slightly before
// the client's deadline, so that the client learns the reason.
func (r *Relay) put(ctx context.Context, b otlp.Batch) error {
	wait := maxWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)*9/10)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := r.queue.Put(ctx, queue.LaneOf(b.Signal), b)
	var tooLarge *queue.TooLargeError
	switch {
	case errors.As(err, &tooLarge):
		return &receive.Refusal{Reason: receive.TooLarge, Message: err.Error()}
	case errors.Is(err, queue.ErrFull), errors.Is(err, context.DeadlineExceeded):
		return &receive.Refusal{
			Reason:     receive.Full,
			RetryAfter: time.Second,
			Message:    "timed out waiting for room in the queue, or for its disk",
		}
	case errors.Is(err, queue.ErrUnsynced):
		return &receive.Refusal{Reason: receive.Queue, RetryAfter: time.Second, Message: err.Error()}
	}
	return err
}

// Alive returns an error if part of the relay is hung.
func (r *Relay) Alive() error {
	answered := make(chan error, 1)
	go func() {
		_ = r.queue.Account() // waits for the queue's lock
		answered <- r.exporter.Alive()
	}()
	select {
	case err := <-answered:
		return err
	case <-time.After(time.Second):
		return errors.New("the relay's queue or exporter did not respond within a second")
	}
}

// Ready returns an error if the upstream is not accepting the data of one or more lanes. state
// describes what is queued.
func (r *Relay) Ready() (state string, err error) {
	a := r.exporter.Account()
	return describe(&a, time.Now()), r.exporter.Ready()
}

func describe(a *export.Account, now time.Time) string {
	q := &a.Queue
	where := "in memory"
	switch {
	case q.Durable:
		where = "on disk"
	case q.OnDisk:
		where = "in memory: queue storage is failing"
	}
	var lost []string
	var dropped, rejected int64
	for _, l := range q.Lanes {
		dropped += l.Full + l.Damaged
	}
	for _, n := range a.Rejected {
		rejected += n
	}
	if dropped > 0 {
		lost = append(lost, fmt.Sprintf(", %d dropped", dropped))
	}
	if rejected > 0 {
		lost = append(lost, fmt.Sprintf(", %d rejected", rejected))
	}
	if q.Oldest().IsZero() {
		return fmt.Sprintf("queue %s: empty, limit %d bytes%s", where, q.Limit, strings.Join(lost, ""))
	}
	return fmt.Sprintf("queue %s: %d items, %d of %d bytes, oldest %v%s", where, q.Queued(), q.Usage, q.Limit,
		now.Sub(q.Oldest()).Round(time.Millisecond), strings.Join(lost, ""))
}

// Shutdown stops receiving, sends queued items until ctx is done, and leaves the rest for the next
// start if the queue has a directory. It must be called after the last call to [Relay.Push].
func (r *Relay) Shutdown(ctx context.Context) error {
	err := errors.Join(r.stopReceiving(ctx), r.exporter.Drain(ctx))
	a := r.queue.Account()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	closed := r.queue.Close(closing)
	if a.Queued() > 0 {
		r.log.Warn(
			"stopped before all queued items were sent",
			"items",
			a.Queued(),
			"kept",
			a.Durable && closed == nil,
		)
	}
	if !a.OnDisk {
		closed = nil // the log line above says the same
	}
	return errors.Join(err, closed)
}

// closeTime is how long closing the queue may take.
const closeTime = 200 * time.Millisecond

// stopReceiving stops the receiver. Requests that are being received get a part of the remaining
// time to complete; the rest is for sending queued items.
func (r *Relay) stopReceiving(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/receivingDivisor)
		defer cancel()
	}
	return r.server.Shutdown(ctx)
}

// doneContext returns a context that is already done.
func doneContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
