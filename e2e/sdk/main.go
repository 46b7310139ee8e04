// Command sdk is an app like those in OpenTelemetry's documentation: it uses autoexport, and
// configures nothing in code. It increments a counter once and exits.
package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "sdk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	counter, err := provider.Meter("sdk").Int64Counter("sdk.count")
	if err != nil {
		return err
	}
	counter.Add(ctx, 1)
	return provider.Shutdown(ctx)
}
