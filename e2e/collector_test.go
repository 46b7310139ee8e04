package e2e

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// collector is a real OpenTelemetry Collector in this process, with an OTLP/gRPC receiver and an
// exporter to upstream.
type collector struct {
	upstream
	addr   string
	tenant string // x-tenant header of the last request; guarded by mu
}

// startCollector runs a Collector whose receiver has the given tls section, in YAML flow style. tls
// may be empty.
func startCollector(t *testing.T, tls string) *collector {
	t.Helper()
	return startCollectorAt(t, freeAddress(t), tls)
}

func startCollectorAt(t *testing.T, addr, tls string) *collector {
	t.Helper()
	return startCollectorWith(t, addr, tls, "")
}

// startCollectorWith runs a Collector whose pipeline has the given processor, such as
// cumulativetodelta, or none.
func startCollectorWith(t *testing.T, addr, tls, processor string) *collector {
	t.Helper()
	c := &collector{upstream: upstream{changed: make(chan struct{})}, addr: addr}
	processors, pipeline := "", ""
	if processor != "" {
		processors, pipeline = "processors: {"+processor+": {}}\n", ", processors: ["+processor+"]"
	}
	config := `yaml:
receivers: {otlp: {protocols: {grpc: {endpoint: "` + c.addr + `", include_metadata: true` + tls + `}}}}
exporters: {test: {}}
` + processors + `service:
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines: {metrics: {receivers: [otlp], exporters: [test]` + pipeline + `}}
`
	runCollector(t, c.factories, []string{config}, yamlprovider.NewFactory())
	return c
}

// runCollector runs a Collector with the configuration at uris until the test ends or stop is
// called. When runCollector returns, the Collector is listening.
func runCollector(
	t *testing.T,
	factories func() (otelcol.Factories, error),
	uris []string,
	providers ...confmap.ProviderFactory,
) (stop func()) {
	t.Helper()
	col, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "e2e", Version: "0"},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{URIs: uris, ProviderFactories: providers},
		},
		DisableGracefulShutdown: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- col.Run(context.Background()) }()
	stop = sync.OnceFunc(func() {
		col.Shutdown()
		if err := <-exited; err != nil {
			t.Errorf("running the Collector: %v", err)
		}
	})
	t.Cleanup(stop)
	for deadline := time.After(patience); col.GetState() != otelcol.StateRunning; {
		select {
		case err := <-exited:
			t.Fatalf("running the Collector: %v", err)
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatal("the Collector did not start in time")
		}
	}
	return stop
}

func (c *collector) factories() (otelcol.Factories, error) {
	receivers, err := otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	exporters, err := otelcol.MakeFactoryMap[exporter.Factory](exporter.NewFactory(component.MustNewType("test"),
		func() component.Config { return &struct{}{} },
		exporter.WithMetrics(c.newExporter, component.StabilityLevelStable)))
	if err != nil {
		return otelcol.Factories{}, err
	}
	processors, err := otelcol.MakeFactoryMap[processor.Factory](cumulativetodeltaprocessor.NewFactory())
	return otelcol.Factories{
		Receivers:  receivers,
		Processors: processors,
		Exporters:  exporters,
		Telemetry:  otelconftelemetry.NewFactory(),
	}, err
}

func (c *collector) newExporter(context.Context, exporter.Settings, component.Config) (exporter.Metrics, error) {
	consume, err := consumer.NewMetrics(c.consume)
	return struct {
		component.StartFunc
		component.ShutdownFunc
		consumer.Metrics
	}{Metrics: consume}, err
}

// consume receives the Collector's output, converted back to OTLP.
func (c *collector) consume(ctx context.Context, metrics pmetric.Metrics) error {
	wire, err := pmetricotlp.NewExportRequestFromMetrics(metrics).MarshalProto()
	if err != nil {
		return err
	}
	r := &otlptest.Request{}
	if err := proto.Unmarshal(wire, r); err != nil {
		return err
	}
	if tenant := client.FromContext(ctx).Metadata.Get("x-tenant"); len(tenant) == 1 {
		c.mu.Lock()
		c.tenant = tenant[0]
		c.mu.Unlock()
	}
	c.take(r)
	return nil
}

// freeAddress returns a loopback address with a port that was free during the call.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
