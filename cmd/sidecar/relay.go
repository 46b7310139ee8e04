package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
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
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/collector/relay"
	"github.com/poolgauge/poolgauge/collector/source"
)

// flushTime is how long the last points may take to leave. Kubernetes may give a sidecar no more
// than two seconds in all, and stopping the probes takes up to a quarter of one.
const flushTime = time.Second

// startRelay opens the one way of the app's points, to the tap and to the upstream if there is one.
// dropped tells how many lines of log were.
func startRelay(
	ctx context.Context,
	s *config.Settings,
	own *resource.Resource,
	provider *sdkmetric.MeterProvider,
	tap func([]byte),
	trouble *problems,
	dropped func() int64,
) (*relay.Relay, error) {
	var secure func() (*tls.Config, error)
	if s.RelayCertificate != "" {
		secure = s.RelayTLS
	}
	dir := s.QueueDir
	if !s.SendsOTLP() {
		dir = "" // what an earlier run left there waits for one with an upstream
	}
	return relay.Start(ctx, relay.Config{
		GRPC:        s.RelayGRPCAddress,
		HTTP:        s.RelayHTTPAddress,
		Socket:      s.RelaySocket,
		Rate:        s.RelayRate,
		Connections: int(s.RelayConnections),
		RequestSize: int(s.RelayRequestSize),
		TLS:         secure,
		Add:         whereabouts(own),
		Queue:       queue.Config{Dir: dir, Limit: s.QueueSize, Sync: s.QueueSync},
		Live:        s.MetricsOrder == "live",
		Dial:        func(signal otlp.Signal) (export.Lane, error) { return dial(s, signal) },
		Policy:      export.Policy{Hold: s.UpstreamHold, Drain: s.DrainFactor},
		Tap:         tap,
		Meter:       provider.Meter(scope),
		Log:         trouble.log,
		LogDropped:  dropped,
		Bear:        trouble.bear,
	})
}

// dial returns a lane for a signal, without a client if the signal has no endpoint.
func dial(s *config.Settings, signal otlp.Signal) (export.Lane, error) {
	upstream, ok := s.Upstream(signal, "poolgauge-sidecar/"+buildVersion())
	if !ok {
		return export.Lane{}, nil
	}
	client, err := export.Dial(upstream)
	if err != nil {
		return export.Lane{}, fmt.Errorf("upstream of %s: %w", signal, err)
	}
	return export.Lane{Client: client, Upstream: upstream.Upstream(), Timeout: upstream.Timeout}, nil
}

func shutDown(points *relay.Relay, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := points.Shutdown(ctx); err != nil {
		log.Warn("relay", "error", err)
	}
}

// followNeighbor returns a sink that tells the relay the container that the app's points come from,
// as long as only one is beside the sidecar.
func followNeighbor(pod *source.Pod, shared attribute.Set, points *relay.Relay, log *slog.Logger) collector.Sink {
	known, said := "", false
	return func(*metricdata.ResourceMetrics) {
		id := pod.Neighbor()
		if _, inPod := shared.Value(semconv.K8SPodNameKey); inPod && id == "" && !said {
			log.Info(
				"no other container is visible, or several are: without shareProcessNamespace container.* is the sidecar's own",
			)
		}
		said = true
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

// whereabouts are those of the sidecar's attributes that hold for the app beside it as well: the
// pod, the host and the cloud that it is in.
func whereabouts(own *resource.Resource) attribute.Set {
	set, _ := attribute.NewSetWithFiltered(own.Attributes(), func(kv attribute.KeyValue) bool {
		key := string(kv.Key)
		shared := strings.HasPrefix(key, "k8s.") || strings.HasPrefix(key, "host.") || strings.HasPrefix(key, "cloud.")
		return shared && !strings.HasPrefix(key, "k8s.container.")
	})
	return set
}
