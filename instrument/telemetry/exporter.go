package telemetry

import (
	"context"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// newExporter returns an exporter. The exporter reads the environment variables itself, except for
// an endpoint that it would not interpret as specified: without an endpoint it uses TLS, and it
// ignores host:port without a scheme.
func (s settings) newExporter(ctx context.Context) (sdkmetric.Exporter, error) {
	if s.console {
		return console{os.Stdout}, nil
	}
	if s.protocol == protocolHTTP {
		var opts []otlpmetrichttp.Option
		if s.endpointURL != "" {
			opts = append(opts, otlpmetrichttp.WithEndpointURL(s.endpointURL))
		}
		return otlpmetrichttp.New(ctx, opts...)
	}
	var opts []otlpmetricgrpc.Option
	if s.endpointURL != "" {
		opts = append(opts, otlpmetricgrpc.WithEndpointURL(s.endpointURL))
	}
	return otlpmetricgrpc.New(ctx, opts...)
}
