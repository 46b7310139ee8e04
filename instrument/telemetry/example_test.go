package telemetry_test

import (
	"context"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument/telemetry"
	"github.com/poolgauge/poolgauge/pools"
)

// Telemetry is shut down last, so that it exports the final values of everything else.
func ExampleStart() {
	ctx := context.Background()
	// exports to the sidecar at localhost:4317, or to OTEL_EXPORTER_OTLP_ENDPOINT if that is set
	shutdown, err := telemetry.Start(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	thumbnails, err := pools.NewWorkers("thumbnails", 8, pools.WorkersConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = thumbnails.Submit(ctx, func(context.Context) error { return nil })

	stopping, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_ = thumbnails.Shutdown(stopping)
	if err := shutdown(stopping); err != nil {
		fmt.Println(err)
	}
}
