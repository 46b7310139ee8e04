package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/internal/shipped"
)

// The families of contenders: the sidecar, and the two programs that it is compared with.
const (
	sidecar   = "sidecar"
	bare      = "bare SDK"
	collector = "Collector"
)

// contender is a program in one configuration.
type contender struct {
	family  string
	setting string
	binary  string
	env     []string
	args    func(addr string) []string // returns the arguments to export to an OTLP receiver at addr
}

// small is an environment that saves memory at the cost of CPU time.
var small = []string{"GOMAXPROCS=1", "GOGC=25"}

// build compiles every contender into dir: the sidecar as it is shipped, and the others stripped
// and without cgo. All of them export at the given interval.
func build(ctx context.Context, dir string, interval time.Duration) ([]contender, error) {
	binary := func(name string) string { return filepath.Join(dir, name) }
	if err := shipped.Build(ctx, binary("sidecar")); err != nil {
		return nil, err
	}
	for _, b := range []struct{ name, module, pkg, tags string }{
		{"bare", ".", "./footprint/baseline", "grpcnotrace"},
		{"bare-trace", ".", "./footprint/baseline", ""},
		{"otelcol", "footprint/otelcol", ".", "grpcnotrace"},
	} {
		cmd := exec.CommandContext(
			ctx,
			"go",
			"build",
			"-C",
			b.module,
			"-tags",
			b.tags,
			"-trimpath",
			"-ldflags",
			"-s -w",
			"-o",
			binary(b.name),
			b.pkg,
		)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s (run from the benchmarks directory): %w\n%s", b.name, err, text)
		}
	}
	// Several sidecars run at the same time, so none may use a fixed port.
	anyPort := slices.Clip(
		[]string{
			"--health-address=127.0.0.1:0",
			"--relay-grpc-address=127.0.0.1:0",
			"--relay-http-address=127.0.0.1:0",
		},
	)
	noProbes := slices.Clip(
		[]string{"--probe-cpu-interval=0", "--probe-parallelism-interval=0", "--probe-disk-interval=0"},
	)
	ms := fmt.Sprint(interval.Milliseconds())
	standard := func(extra ...string) func(string) []string {
		return func(string) []string { return extra }
	}
	env := func(extra ...string) []string { return append([]string{"OTEL_METRIC_EXPORT_INTERVAL=" + ms}, extra...) }
	return []contender{
		{sidecar, "default, with probes", binary("sidecar"), env(), standard(anyPort...)},
		{sidecar, "without probes", binary("sidecar"), env(), standard(append(noProbes, anyPort...)...)},
		{
			sidecar,
			"host only, without probes",
			binary("sidecar"),
			env(),
			standard(append(append(noProbes, anyPort...), "--pod=false")...),
		},
		{bare, "GOMAXPROCS=1 GOGC=25", binary("bare"), env(small...), standard()},
		{bare, "default", binary("bare"), env(), standard()},
		{bare, "default, no grpcnotrace", binary("bare-trace"), env(), standard()},
		{collector, "default", binary("otelcol"), nil, collectorArgs(interval, "gzip")},
		{collector, "GOMAXPROCS=1 GOGC=25, uncompressed", binary("otelcol"), small, collectorArgs(interval, "none")},
	}, nil
}

// collectorArgs configures the Collector to export host CPU and memory metrics at the lowest cost:
// without its own metrics, and with an immediate first scrape. The Collector compresses with gzip
// by default, while the other contenders do not compress.
func collectorArgs(interval time.Duration, compression string) func(string) []string {
	return func(addr string) []string {
		return []string{"--config", fmt.Sprintf(`yaml:
receivers:
  host_metrics: {collection_interval: %s, initial_delay: 0s, scrapers: {cpu: {}, memory: {}}}
exporters:
  otlp_grpc: {endpoint: "%s", compression: %s, tls: {insecure: true}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [host_metrics], exporters: [otlp_grpc]}}
`, interval, addr, compression)}
	}
}
