package telemetry

import (
	"context"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// newExporter returns an exporter. The OTLP exporters read most environment variables themselves.
// newExporter passes the endpoint explicitly if they would not interpret the variable as specified:
// they use TLS if no endpoint is set, and ignore an endpoint of the form host:port.
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
