package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/poolgauge/poolgauge/benchmarks/internal/shipped"
)

// The families of contenders.
const (
	sidecar   = "sidecar"
	collector = "Collector"
	bare      = "receiver alone"
)

// contender is a program with one configuration. A contender without a binary is the receiver
// alone, to which the others send.
type contender struct {
	family  string
	setting string
	synced  bool // acknowledged requests survive power loss
	idle    bool // also measure memory and latency
	binary  string
	env     []string
	args    func(listen, http, upstream, dir string) []string
}

func (c contender) String() string {
	if c.setting == "" {
		return c.family
	}
	return c.family + ", " + c.setting
}

// build compiles both programs into dir: the sidecar as it is shipped, and the Collector stripped
// and without cgo.
func build(ctx context.Context, dir string) ([]contender, error) {
	binary := func(name string) string { return filepath.Join(dir, name) }
	if err := shipped.Build(ctx, binary("sidecar")); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-C", "relay/otelcol", "-tags", "grpcnotrace",
		"-trimpath", "-ldflags", "-s -w", "-o", binary("otelcol"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the Collector (run from the benchmarks directory): %w\n%s", err, text)
	}
	two := []string{"GOMAXPROCS=2"}
	ours, theirs := binary("sidecar"), binary("otelcol")
	return []contender{
		{family: bare, idle: true},
		{sidecar, "default", false, true, ours, nil, sidecarArgs("1s")},
		{sidecar, "GOMAXPROCS=2", false, true, ours, two, sidecarArgs("1s")},
		{sidecar, "--queue-sync 0", true, false, ours, nil, sidecarArgs("0")},
		{sidecar, "--queue-sync 0, GOMAXPROCS=2", true, false, ours, two, sidecarArgs("0")},
		{collector, "default", false, true, theirs, nil, collectorArgs(false, "")},
		{collector, "batch", false, true, theirs, nil, collectorArgs(false, "batch: {}")},
		{collector, "fsync", true, false, theirs, nil, collectorArgs(true, "")},
		{collector, "fsync, batch", true, false, theirs, nil, collectorArgs(true, "batch: {}")},
	}, nil
}

// sidecarArgs configures the sidecar with its defaults, including sources and probes.
func sidecarArgs(sync string) func(listen, http, upstream, dir string) []string {
	return func(listen, http, upstream, dir string) []string {
		return []string{
			"--otlp-endpoint=http://" + upstream,
			"--relay-grpc-address=" + listen,
			"--relay-http-address=" + http,
			"--health-address=off",
			"--queue-dir=" + dir,
			"--queue-sync=" + sync,
		}
	}
}

// collectorArgs configures the Collector for the same task, so that it performs at its best:
// without its own metrics and without compression, with endless retries, and with a queue that
// blocks clients while it is full instead of rejecting their requests. The Collector's default for
// fsync is off.
func collectorArgs(fsync bool, batch string) func(listen, http, upstream, dir string) []string {
	return func(listen, http, upstream, dir string) []string {
		return []string{"--config", fmt.Sprintf(`yaml:
receivers:
  otlp: {protocols: {grpc: {endpoint: "%s"}, http: {endpoint: "%s"}}}
extensions:
  file_storage: {directory: "%s", fsync: %t}
exporters:
  otlp_grpc:
    endpoint: "%s"
    compression: none
    tls: {insecure: true}
    retry_on_failure: {max_elapsed_time: 0s}
    sending_queue: {storage: file_storage, block_on_overflow: true, %s}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [otlp], exporters: [otlp_grpc]}}
`, listen, http, dir, fsync, upstream, batch)}
	}
}
