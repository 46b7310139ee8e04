package relay

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/internal/logtest"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a relay under test, with the reader of its metrics and with its log.
type bench struct {
	*Relay
	reader *metric.ManualReader
	log    *logtest.Buffer
	down   sync.Once
}

// start runs a relay in front of the upstream at addr. change may change the relay's configuration;
// nil: no change.
func start(t *testing.T, addr string, change func(*Config)) *bench {
	t.Helper()
	b := &bench{reader: metric.NewManualReader(), log: &logtest.Buffer{}}
	var err error
	cfg := b.config(addr)
	if change != nil {
		change(&cfg)
	}
	if b.Relay, err = Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.shutdown(t, time.Minute) })
	return b
}

func (b *bench) config(addr string) Config {
	return Config{
		GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0",
		Add:   attribute.NewSet(attribute.String("k8s.pod.name", "web-7"), attribute.String("host.name", "node-1")),
		Queue: queue.Config{Limit: 1 << 20},
		Dial: func(otlp.Signal) (export.Lane, error) {
			client, err := export.Dial(export.Config{Protocol: export.GRPC, URL: "http://" + addr})
			return export.Lane{Client: client, Timeout: 10 * time.Second}, err
		},
		Meter: metric.NewMeterProvider(metric.WithReader(b.reader)).Meter("relay"),
		Log:   slog.New(slog.NewTextHandler(b.log, nil)),
	}
}

// shutdown shuts the relay down once, within the given time.
func (b *bench) shutdown(t *testing.T, within time.Duration) {
	t.Helper()
	b.down.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v\n%s", err, b.log)
		}
	})
}

// points returns the values of [catalog.RelayPoints] and the queue's points, by outcome and reason.
func (b *bench) points(t *testing.T) map[string]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := b.reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		sum, ok := m.Data.(metricdata.Sum[int64])
		if !ok {
			continue
		}
		for _, p := range sum.DataPoints {
			outcome, _ := p.Attributes.Value("poolgauge.point.outcome")
			reason, _ := p.Attributes.Value("poolgauge.point.reason")
			switch {
			case m.Name == "poolgauge.relay.queue.points":
				found["queued"] += p.Value
			case reason.AsString() != "":
				found[outcome.AsString()+" "+reason.AsString()] += p.Value
				found[outcome.AsString()] += p.Value
			default:
				found[outcome.AsString()] += p.Value
			}
		}
	}
	return found
}

// collection returns a collection of the sidecar's own metrics that has one point.
func collection(value int64) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "sidecar")),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{
			{
				Name: "own",
				Data: metricdata.Gauge[int64]{
					DataPoints: []metricdata.DataPoint[int64]{{Time: time.Unix(1, 0), Value: value}},
				},
			},
		}}},
	}
}

// upstream is a real OTLP/gRPC server that passes on the points it accepts.
type upstream struct {
	*otlptest.Receiver
	accepted chan otlptest.Point
}

// listen starts an upstream at addr. If refuse is not nil, every request fails with the error that
// refuse returns.
func listen(t *testing.T, addr string, refuse func(context.Context) error) *upstream {
	t.Helper()
	u := &upstream{accepted: make(chan otlptest.Point, 1000)}
	var err error
	u.Receiver, err = otlptest.Start(addr, func(ctx context.Context, r *otlptest.Request) (*otlptest.Response, error) {
		if refuse != nil {
			return nil, refuse(ctx)
		}
		for p := range otlptest.Points(r) {
			u.accepted <- p
		}
		return &otlptest.Response{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// next returns the next point that arrives.
func (u *upstream) next(t *testing.T) otlptest.Point {
	t.Helper()
	select {
	case p := <-u.accepted:
		return p
	case <-time.After(30 * time.Second):
		t.Fatal("no point arrived within 30 seconds")
		return otlptest.Point{}
	}
}
