package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/poolgauge/poolgauge/internal/logtest"
)

// With keep-running, the sidecar logs and counts every error at startup, and still samples and
// exports.
func TestKeepRunningToleratesErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	upstream := startSink(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log logtest.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"--probe-disk-interval=0"}, []string{
			"POOLGAUGE_KEEP_RUNNING=true", "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + upstream.address,
			// settings with errors
			"POOLGAUGE_CGROUP_ROOT=" + t.TempDir(), "POOLGAUGE_QUEUE_SIZE=lots", "POOLGAUGE_PROBE_DIRR=/tmp",
			"POOLGAUGE_QUEUE_DIR=/proc/1/no", // cannot be created
			"POOLGAUGE_HEALTH_ADDRESS=" + taken.Addr().String(), "POOLGAUGE_RELAY_GRPC_ADDRESS=" + taken.Addr().String(), "POOLGAUGE_RELAY_HTTP_ADDRESS=off",
		}, io.Discard, &log)
	}()
	select {
	case <-upstream.first:
		cancel()
	case got := <-code:
		t.Fatalf("exited with code %d before it sent anything:\n%s", got, log.String())
	}
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
	text := log.String()
	for _, want := range []string{"POOLGAUGE_QUEUE_SIZE: ", "POOLGAUGE_PROBE_DIRR, did you mean", "queue directory", "POOLGAUGE_CGROUP_ROOT: ", "--health-address: ", "setting=--relay-grpc-address "} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not logged exactly once:\n%s", want, text)
		}
	}
	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	if got, want := valueOf(
		upstream.seen["poolgauge.sidecar.problems"],
	), int64(
		strings.Count(text, "continuing despite a problem")+strings.Count(text, "not listening"),
	); got != want {
		t.Errorf("%d problems counted, %d logged", got, want)
	}
}

func valueOf(m *metricspb.Metric) int64 {
	points := m.GetSum().GetDataPoints()
	if len(points) != 1 {
		return -1
	}
	return points[0].GetAsInt()
}

// With keep-running, nothing is sent if the endpoint is the sidecar itself or is missing.
func TestKeepRunningWithoutAnEndpointSendsNothing(t *testing.T) {
	for endpoint, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317": "endpoint: 127.0.0.1:4317 is the address of this sidecar's own listener",
		"OTEL_EXPORTER_OTLP_ENDPOINT=":                      "endpoint: expected",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var log logtest.Buffer
		if code := run(
			ctx,
			[]string{"--health-address=off", "--probe-disk-interval=0"},
			[]string{"POOLGAUGE_KEEP_RUNNING=true", endpoint},
			&log,
			&log,
		); code != 0 {
			t.Errorf("%s: exit code %d", endpoint, code)
		}
		if got := log.String(); !strings.Contains(got, want) ||
			strings.Contains(got, "Showing a summary") ||
			strings.Contains(got, "sending") {
			t.Errorf("%s: want %q, no summary and no sending in the output:\n%s", endpoint, want, got)
		}
	}
}

// The check command rejects what keep-running tolerates.
func TestCheckIsStrictDespiteKeepRunning(t *testing.T) {
	var log logtest.Buffer
	code := run(
		t.Context(),
		[]string{"check"},
		[]string{"POOLGAUGE_KEEP_RUNNING=true", "POOLGAUGE_QUEUE_SIZE=lots"},
		&log,
		&log,
	)
	if code != exitUsage || !strings.Contains(log.String(), "POOLGAUGE_QUEUE_SIZE") {
		t.Errorf("exit code %d: %s", code, log.String())
	}
}
