package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/resource"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

func settingsOf(t *testing.T, args ...string) *config.Settings {
	t.Helper()
	set := pflag.NewFlagSet("sidecar", pflag.ContinueOnError)
	flags := config.Declare(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	settings, err := flags.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// send exports a metric with the given name to the relay.
func send(t *testing.T, to collectorpb.MetricsServiceClient, name string) {
	t.Helper()
	points := []*metricspb.NumberDataPoint{{TimeUnixNano: 1, Value: &metricspb.NumberDataPoint_AsInt{AsInt: 1}}}
	metrics := []*metricspb.Metric{
		{Name: name, Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: points}}},
	}
	_, err := to.Export(t.Context(), &collectorpb.ExportMetricsServiceRequest{
		ResourceMetrics: []*metricspb.ResourceMetrics{{ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: metrics}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The upstream does not respond to the first request until the test tells it to. With the order
// oldest, the relay waits for that response before it sends anything else.
func TestOnlyLiveMetricsAreSentWhileEarlierOnesArePending(t *testing.T) {
	for order, live := range map[string]bool{"live": true, "oldest": false} {
		t.Run(order, func(t *testing.T) {
			arrived, respond := make(chan string, 2), make(chan struct{})
			upstream, err := otlptest.Start("127.0.0.1:0",
				func(ctx context.Context, r *otlptest.Request) (*otlptest.Response, error) {
					name := r.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetName()
					arrived <- name
					if name == "first" {
						select {
						case <-respond:
						case <-ctx.Done():
						}
					}
					return &otlptest.Response{}, nil
				})
			if err != nil {
				t.Fatal(err)
			}
			defer upstream.Close()
			app := relayTo(t, upstream.Addr, order)
			send(t, app, "first")
			if name := <-arrived; name != "first" {
				t.Fatalf("%q arrived, want first", name)
			}
			send(t, app, "second")
			if live {
				if name := <-arrived; name != "second" {
					t.Fatalf("%q arrived, want second", name)
				}
			} else if len(arrived) > 0 {
				t.Error("the second request did not wait for the first")
			}
			close(respond)
			if !live {
				<-arrived
			}
		})
	}
}

// relayTo starts a relay that sends to upstream in the given order, and returns a client of it.
func relayTo(t *testing.T, upstream, order string) collectorpb.MetricsServiceClient {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "relay")
	settings := settingsOf(t, "--otlp-endpoint=http://"+upstream, "--otlp-timeout=10m", "--metrics-order="+order,
		"--relay-grpc-address=off", "--relay-http-address=off", "--relay-socket="+socket)
	log := slog.New(slog.DiscardHandler)
	app, err := startRelay(t.Context(), settings, resource.Empty(), noop.Meter{}, nil, &problems{log: log},
		func() int64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutDown(app, log) })
	client, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return collectorpb.NewMetricsServiceClient(client)
}
