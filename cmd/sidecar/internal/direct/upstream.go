// Package direct sends collections to the upstream through a queue of its own in memory.
package direct

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// clientUpstream hands to a client what OpenTelemetry's exporter makes of a collection.
type clientUpstream struct {
	client  export.Client
	encoder *otlpmetricgrpc.Exporter // whose requests never leave
	result  export.Result            // of the last request; as are the following
	failure error
}

// NewUpstream returns an upstream that a client reaches, which it owns.
func NewUpstream(client export.Client) (Upstream, error) {
	u := &clientUpstream{client: client}
	var err error
	u.encoder, err = otlpmetricgrpc.New(
		context.Background(), otlpmetricgrpc.WithEndpoint("passthrough:nowhere"), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithTimeout(24*time.Hour), // the context's holds
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}), otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(u.divert)),
	)
	return u, err
}

// Send implements [Upstream].
func (u *clientUpstream) Send(ctx context.Context, rm *metricdata.ResourceMetrics) (rejected int64, err error) {
	u.result, u.failure = export.Result{}, nil
	err = u.encoder.Export(ctx, rm)
	if u.failure != nil {
		return 0, u.failure
	}
	return u.result.Rejected, err
}

// Close implements [Upstream].
func (u *clientUpstream) Close() error {
	return errors.Join(u.encoder.Shutdown(context.Background()), u.client.Close())
}

// divert sends by the client what gRPC would send.
func (u *clientUpstream) divert(ctx context.Context, _ string, request, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
	data, err := proto.Marshal(request.(proto.Message))
	if err != nil {
		return err
	}
	u.result, u.failure = u.client.Send(ctx, otlp.Batch{Signal: otlp.Metrics, Data: data})
	return u.failure
}
