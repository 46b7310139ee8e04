package main

import (
	"log/slog"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/source"
)

// newReader returns the reader that the sampler collects from, with the temporality and histogram
// aggregation that the settings configure.
func newReader(s *config.Settings, sources sdkmetric.Producer) *sdkmetric.ManualReader {
	return sdkmetric.NewManualReader(
		sdkmetric.WithProducer(sources),
		sdkmetric.WithTemporalitySelector(temporality(s)),
		sdkmetric.WithAggregationSelector(aggregation(s)),
	)
}

// newSources returns the sources that the settings enable. Their counters have the temporality that
// the settings imply for observable counters; for lowmemory, that is cumulative.
func newSources(s *config.Settings, pod *source.Pod, log *slog.Logger) *collector.Producer {
	var sources []collector.Named
	if s.Host {
		sources = append(sources, collector.Named{Name: "host", Source: source.NewHost()})
	}
	sources = append(sources, collector.Named{Name: "network", Source: source.NewNetwork()})
	counters := temporality(s)(sdkmetric.InstrumentKindObservableCounter)
	return collector.NewProducer(log, counters, append(sources, pod.Sources()...)...)
}

// temporality returns the temporality that the settings configure. With a summary, it is always
// cumulative, since the summary needs totals.
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
