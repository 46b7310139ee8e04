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
// is accepting metrics again. The wrapped exporter would report an error at each export.
type outageExporter struct {
	sdkmetric.Exporter
	where string

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
			otel.Handle(fmt.Errorf("telemetry: %s is accepting metrics again", e.where))
		}
		return nil
	case !isUnreachable(err):
		return err
	}
	if e.unreachable.CompareAndSwap(false, true) {
		otel.Handle(
			fmt.Errorf(
				"telemetry: %s is unreachable: metrics are lost until it is accepting again. Start the sidecar there: "+
					"go run github.com/poolgauge/poolgauge/cmd/sidecar@latest; or set OTEL_EXPORTER_OTLP_ENDPOINT to a receiver, "+
					"or OTEL_METRICS_EXPORTER=none (%w)",
				e.where,
				err,
			),
		)
	}
	return nil
}

// isUnreachable reports whether an export failed because nothing listens at the endpoint. Most of
// the exporters' errors can be recognized only by their text.
func isUnreachable(err error) bool {
	for _, sign := range []string{
		"connection refused", "no such host", "no such file or directory", "no route to host",
	} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}
