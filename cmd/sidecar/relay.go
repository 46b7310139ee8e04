package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/collector/relay"
	"github.com/poolgauge/poolgauge/collector/source"
)

// flushTimeout bounds the last export. Kubernetes may give a sidecar only two seconds to exit, and
// stopping the probes takes up to a quarter of a second.
const flushTimeout = time.Second

// startRelay starts a relay that receives the app's telemetry and passes it to tap, and to the
// upstream if there is one. dropped returns the number of log lines dropped so far.
func startRelay(
	ctx context.Context, s *config.Settings, own *resource.Resource, meter metric.Meter, tap func([]byte),
	found *problems, dropped func() int64,
) (*relay.Relay, error) {
	var secure func() (*tls.Config, error)
	if s.RelayCertificate != "" {
		secure = s.RelayTLS
	}
	dir := s.QueueDir
	if !s.SendsOTLP() {
		dir = "" // items from an earlier run stay on disk until there is an upstream
	}
	return relay.Start(ctx, relay.Config{
		GRPC:        s.RelayGRPCAddress,
		HTTP:        s.RelayHTTPAddress,
		Socket:      s.RelaySocket,
		Rate:        s.RelayRate,
		Connections: int(s.RelayConnections),
		RequestSize: int(s.RelayRequestSize),
		TLS:         secure,
		Add:         sharedAttributes(own),
		Queue:       queue.Config{Dir: dir, Limit: s.QueueSize, Sync: s.QueueSync},
		Live:        s.MetricsOrder == "live",
		Dial:        func(signal otlp.Signal) (export.Lane, error) { return dial(s, signal) },
		Policy:      export.Policy{Hold: s.UpstreamHold, Drain: s.DrainFactor},
		Tap:         tap,
		Meter:       meter,
		Log:         found.log,
		LogDropped:  dropped,
		Bear:        found.tolerate,
	})
}

// dial returns a lane for signal. The lane has no client if signal has no endpoint.
func dial(s *config.Settings, signal otlp.Signal) (export.Lane, error) {
	upstream, ok := s.Upstream(signal, "poolgauge-sidecar/"+buildVersion())
	if !ok {
		return export.Lane{}, nil
	}
	client, err := export.Dial(upstream)
	if err != nil {
		return export.Lane{}, fmt.Errorf("cannot create the client for sending %s: %w", signal, err)
	}
	return export.Lane{Client: client, Upstream: upstream.Upstream(), Timeout: upstream.Timeout}, nil
}

func shutDown(app *relay.Relay, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		log.Warn("relay shutdown failed", "error", err)
	}
}

// followNeighbor returns a sink that keeps the relay informed of the app's container, so that the
// relay adds the container's id to the app's telemetry. The id is known only while exactly one
// container other than the sidecar's is visible.
func followNeighbor(pod *source.Pod, shared attribute.Set, app *relay.Relay, log *slog.Logger) collector.Sink {
	known, logged := "", false
	return func(*metricdata.ResourceMetrics) {
		id := pod.Neighbor()
		if _, inPod := shared.Value(semconv.K8SPodNameKey); inPod && id == "" && !logged {
			log.Info(
				"the app's container is unknown: set shareProcessNamespace to make other containers visible, and run only one besides the sidecar",
			)
		}
		logged = true
		if id == known {
			return
		}
		known = id
		add := shared.ToSlice()
		if id != "" {
			add = append(add, semconv.ContainerID(id))
		}
		if err := app.Enrich(attribute.NewSet(add...)); err != nil {
			log.Warn("cannot add attributes to the app's telemetry", "error", err)
		}
	}
}

// sharedAttributes returns the attributes of the sidecar's own resource that also apply to the app:
// those of the pod, the host and the cloud.
func sharedAttributes(own *resource.Resource) attribute.Set {
	set, _ := attribute.NewSetWithFiltered(own.Attributes(), func(kv attribute.KeyValue) bool {
		key := string(kv.Key)
		shared := strings.HasPrefix(key, "k8s.") || strings.HasPrefix(key, "host.") || strings.HasPrefix(key, "cloud.")
		return shared && !strings.HasPrefix(key, "k8s.container.")
	})
	return set
}
