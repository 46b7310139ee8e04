package export

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/config"
)

// NewReader returns the reader that a [Sampler] collects from, with the temporality and the histograms of the settings. The summary
// reckons with cumulative sums, so that without an upstream the temporality is that.
func NewReader(s *config.Settings) *sdkmetric.ManualReader {
	return sdkmetric.NewManualReader(
		sdkmetric.WithTemporalitySelector(temporality(s)),
		sdkmetric.WithAggregationSelector(aggregation(s)),
	)
}

func temporality(s *config.Settings) sdkmetric.TemporalitySelector {
	switch {
	case s.ShowsSummary():
		return sdkmetric.CumulativeTemporalitySelector
	case s.Temporality == "delta":
		return sdkmetric.DeltaTemporalitySelector
	case s.Temporality == "lowmemory":
		return sdkmetric.LowMemoryTemporalitySelector
	default:
		return sdkmetric.CumulativeTemporalitySelector
	}
}

func aggregation(s *config.Settings) sdkmetric.AggregationSelector {
	if s.Histogram == "explicit_bucket_histogram" {
		return sdkmetric.DefaultAggregationSelector
	}
	return func(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
		if kind == sdkmetric.InstrumentKindHistogram {
			return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
		}
		return sdkmetric.DefaultAggregationSelector(kind)
	}
}

// Resource says who sends: host, operating system, process and, last and strongest, what the user set.
// The command's arguments stay out of it, since they may hold secrets.
func Resource(ctx context.Context, s *config.Settings, containerID, version string) (*resource.Resource, error) {
	r, err := resource.New(
		ctx,
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithOS(),
		resource.WithProcessPID(), resource.WithProcessExecutableName(), resource.WithProcessExecutablePath(), resource.WithProcessOwner(),
		resource.WithProcessRuntimeName(), resource.WithProcessRuntimeVersion(),
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithAttributes(chosen(s, containerID, version)...),
	)
	if r == nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	return r, nil // a detector that failed left out what it could not find
}

// chosen are the service's attributes and those that the user set.
func chosen(s *config.Settings, containerID, version string) []attribute.KeyValue {
	kvs := []attribute.KeyValue{semconv.ServiceName("poolgauge-sidecar"), semconv.ServiceVersion(version)}
	if host, err := os.Hostname(); err == nil {
		kvs = append(kvs, semconv.ServiceInstanceID(host)) // in Kubernetes the pod's name
	}
	if containerID != "" {
		kvs = append(kvs, semconv.ContainerID(containerID))
	}
	for key, value := range s.ResourceAttributes {
		kvs = append(kvs, attribute.String(key, value))
	}
	if s.ServiceName != "" {
		kvs = append(kvs, semconv.ServiceName(s.ServiceName))
	}
	return kvs
}
