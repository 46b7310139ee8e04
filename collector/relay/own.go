package relay

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/poolgauge/poolgauge/collector/receive"
)

// ownPending is how many of the sidecar's own collections may wait for the queue to take them, which takes a second or two at worst.
const ownPending = 16

// own hands the sidecar's own collections to the receiver, over a connection through memory, from a goroutine of its own: sampling must
// not wait for a disk.
type own struct {
	conn     *grpc.ClientConn
	exporter *otlpmetricgrpc.Exporter
	next     chan *metricdata.ResourceMetrics
	ended    chan struct{}
	log      *slog.Logger
}

func startOwn(server *receive.Server, log *slog.Logger) (*own, error) {
	conn, err := grpc.NewClient("passthrough:own", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(server.Dial))
	if err != nil {
		return nil, err
	}
	exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithGRPCConn(conn),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{})) // the queue is full or fails for good, or takes everything
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	o := &own{conn: conn, exporter: exporter, next: make(chan *metricdata.ResourceMetrics, ownPending), ended: make(chan struct{}), log: log}
	go o.run()
	return o, nil
}

func (o *own) run() {
	defer close(o.ended)
	for rm := range o.next {
		if err := o.exporter.Export(context.Background(), rm); err != nil {
			o.log.Warn("a collection of the sidecar's own is lost", "error", err)
		}
	}
}

// Push takes a collection of the sidecar's own; it never blocks. It is a sink of the sampler.
func (r *Relay) Push(rm *metricdata.ResourceMetrics) {
	select {
	case r.own.next <- rm:
	default:
		r.log.Warn("a collection of the sidecar's own is lost: the queue does not take it")
	}
}

// close waits until all collections are queued or ctx is done.
func (o *own) close(ctx context.Context) error {
	close(o.next)
	select {
	case <-o.ended:
	case <-ctx.Done():
	}
	return o.conn.Close()
}
