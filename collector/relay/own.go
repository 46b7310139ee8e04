package relay

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// own encodes the sidecar's own collections: by OpenTelemetry's exporter, whose connection never dials but hands each encoded request to the queue.
type own struct {
	conn     *grpc.ClientConn
	exporter *otlpmetricgrpc.Exporter
}

func newOwn(put func(context.Context, otlp.Batch) error) (*own, error) {
	intercept := func(ctx context.Context, _ string, request, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
		message, ok := request.(proto.Message)
		if !ok {
			return fmt.Errorf("own points: cannot encode %T", request)
		}
		data, err := proto.Marshal(message)
		if err != nil {
			return err
		}
		points, err := otlp.Inspect(otlp.Metrics, data)
		if err != nil || points == 0 {
			return err
		}
		return put(ctx, otlp.Batch{Signal: otlp.Metrics, Points: points, Data: data})
	}
	conn, err := grpc.NewClient("passthrough:///own", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(intercept))
	if err != nil {
		return nil, err
	}
	exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithGRPCConn(conn), otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &own{conn: conn, exporter: exporter}, nil
}

// Push takes a collection of the sidecar's own. It never blocks: own points wait neither for room nor for the disk. It is a sink of the sampler.
func (r *Relay) Push(rm *metricdata.ResourceMetrics) {
	if err := r.own.exporter.Export(context.Background(), rm); err != nil {
		r.log.Warn("a collection of the sidecar's own is lost", "error", err)
	}
}

// putOwn is where they go.
func (r *Relay) putOwn(ctx context.Context, b otlp.Batch) error {
	return r.queue.Put(ctx, queue.Own, b)
}
