package telemetry

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// outageExporter reports an outage only twice: when the receiver becomes unreachable, and when it
// is accepting metrics again. With the wrapped exporter alone, every export during the outage would
// report an error.
type outageExporter struct {
	sdkmetric.Exporter
	endpoint string // for messages

	unreachable atomic.Bool
	closing     atomic.Bool // shutting down: shutdown returns the last export's error
}

// Export implements sdkmetric.Exporter.
func (e *outageExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	err := e.Exporter.Export(ctx, rm)
	switch {
	case e.closing.Load():
		return err
	case err == nil:
		if e.unreachable.CompareAndSwap(true, false) {
			otel.Handle(fmt.Errorf("telemetry: %s is accepting metrics again", e.endpoint))
		}
		return nil
	case !isUnreachable(err):
		return err
	}
	if e.unreachable.CompareAndSwap(false, true) {
		otel.Handle(
			fmt.Errorf(
				"telemetry: %s is unreachable: metrics are lost until it accepts them again. Start the sidecar there: "+
					"go run github.com/poolgauge/poolgauge/cmd/sidecar@latest; or set OTEL_EXPORTER_OTLP_ENDPOINT to a receiver, "+
					"or OTEL_METRICS_EXPORTER=none (%w)",
				e.endpoint,
				err,
			),
		)
	}
	return nil
}

// isUnreachable reports whether an export failed because nothing is listening at the endpoint. Most
// of the exporters' errors can be recognized only by their text.
func isUnreachable(err error) bool {
	for _, text := range []string{
		"connection refused", "no such host", "no such file or directory", "no route to host",
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}
