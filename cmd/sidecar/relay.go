package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/collector/relay"
)

// flushTime is how long the last points may take to leave. Kubernetes may give a sidecar no more than two seconds in all, and stopping
// the probes takes up to a quarter of one.
const flushTime = time.Second

// gatherTime is how long points may wait for others to leave with: a busy app's small requests become fewer.
const gatherTime = 10 * time.Millisecond

// startRelay opens the one way of points to the upstream.
func startRelay(ctx context.Context, s *config.Settings, own *resource.Resource, provider *sdkmetric.MeterProvider, log *slog.Logger) (*relay.Relay, error) {
	upstream := s.Upstream("poolgauge-sidecar/" + buildVersion())
	client, err := export.Dial(upstream)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	return relay.Start(ctx, relay.Config{
		GRPC: s.RelayGRPCAddress, HTTP: s.RelayHTTPAddress, Socket: s.RelaySocket, Rate: s.RelayRate,
		Add:     whereabouts(own),
		Queue:   queue.Config{Dir: s.QueueDir, Limit: s.QueueSize, Sync: s.QueueSync},
		Signals: slices.Collect(maps.Keys(upstream.Endpoints)),
		Client:  client, Policy: export.Policy{Timeout: min(s.OTLPTimeout, s.ExportTimeout), Gather: gatherTime},
		Meter: provider.Meter(scope), Log: log,
	})
}

func shutDown(points *relay.Relay, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := points.Shutdown(ctx); err != nil {
		log.Warn("relay", "error", err)
	}
}

// followNeighbor returns a sink that tells the relay the container that the app's points come from, as long as only one is beside the
// sidecar.
func followNeighbor(pod *collector.Pod, shared attribute.Set, points *relay.Relay, log *slog.Logger) collector.Sink {
	known := ""
	return func(*metricdata.ResourceMetrics) {
		id := pod.Neighbor()
		if id == known {
			return
		}
		known = id
		add := shared.ToSlice()
		if id != "" {
			add = append(add, semconv.ContainerID(id))
		}
		if err := points.Enrich(attribute.NewSet(add...)); err != nil {
			log.Warn("relay", "error", err)
		}
	}
}

// whereabouts are those of the sidecar's attributes that hold for the app beside it as well: the pod, the host and the cloud that it is in.
func whereabouts(own *resource.Resource) attribute.Set {
	set, _ := attribute.NewSetWithFiltered(own.Attributes(), func(kv attribute.KeyValue) bool {
		key := string(kv.Key)
		shared := strings.HasPrefix(key, "k8s.") || strings.HasPrefix(key, "host.") || strings.HasPrefix(key, "cloud.")
		return shared && !strings.HasPrefix(key, "k8s.container.")
	})
	return set
}
