package main

import (
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// newReader returns the reader that the sampler collects from, with the temporality and the histograms of the settings. The summary
// reckons with cumulative sums, so that without an upstream the temporality is that.
func newReader(s *config.Settings) *sdkmetric.ManualReader {
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
