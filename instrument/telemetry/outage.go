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

// patient says once that nothing listens, and once that something does again, where the exporter
// says so at each export.
type patient struct {
	sdkmetric.Exporter
	where string

	away    atomic.Bool
	closing atomic.Bool // the last export tells its error to the caller of shutdown
}

// Export implements sdkmetric.Exporter.
func (p *patient) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	err := p.Exporter.Export(ctx, rm)
	switch {
	case p.closing.Load():
		return err
	case err == nil:
		if p.away.CompareAndSwap(true, false) {
			otel.Handle(fmt.Errorf("telemetry: %s takes metrics again", p.where))
		}
		return nil
	case !isAway(err):
		return err
	}
	if p.away.CompareAndSwap(false, true) {
		otel.Handle(
			fmt.Errorf(
				"telemetry: nothing listens at %s: metrics are lost until something does. Start the sidecar there: "+
					"go run github.com/poolgauge/poolgauge/cmd/sidecar@latest; or say where a receiver is by OTEL_EXPORTER_OTLP_ENDPOINT, "+
					"or that there is none by OTEL_METRICS_EXPORTER=none (%w)",
				p.where,
				err,
			),
		)
	}
	return nil
}

// isAway reports whether an export failed since there was nobody to take it. What the exporters
// return is text for the most part.
func isAway(err error) bool {
	for _, sign := range []string{"connection refused", "no such host", "no such file or directory", "no route to host"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}
