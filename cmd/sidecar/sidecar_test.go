package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/internal/logtest"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a real OTLP/gRPC receiver that keeps what it receives.
type sink struct {
	address string
	first   chan struct{} // closed at the first export
	// called after each export with all metrics seen so far; may be nil
	onExport func(map[string]*metricspb.Metric)

	mu       sync.Mutex
	received []*metricspb.ResourceMetrics
	seen     map[string]*metricspb.Metric // the latest metric of each name
}

func startSink(t *testing.T) *sink {
	t.Helper()
	return startSinkAt(t, "127.0.0.1:0")
}

func startSinkAt(t *testing.T, address string) *sink {
	t.Helper()
	s := &sink{first: make(chan struct{}), seen: map[string]*metricspb.Metric{}}
	receiver, err := otlptest.Start(address, s.export)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(receiver.Close)
	s.address = receiver.Addr
	return s
}

func (s *sink) export(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.received) == 0 {
		close(s.first)
	}
	s.received = append(s.received, r.GetResourceMetrics()...)
	for _, scope := range r.GetResourceMetrics()[0].GetScopeMetrics() {
		for _, m := range scope.GetMetrics() {
			s.seen[m.GetName()] = m
		}
	}
	if s.onExport != nil {
		s.onExport(s.seen)
	}
	return &otlptest.Response{}, nil
}

// isolated holds flags that keep a sidecar from using fixed ports, which other processes may be
// using, and from probing the disk.
var isolated = []string{
	"--relay-grpc-address",
	"127.0.0.1:0",
	"--relay-http-address",
	"off",
	"--page-address",
	"off",
	"--probe-disk-interval",
	"0",
}

func execute(args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(context.Background(), args, nil, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestSendsAtStartupAndShutdown(t *testing.T) {
	upstream := startSink(t)
	ctx, cancel := context.WithCancel(context.Background())
	var log logtest.Buffer
	code := make(chan int)
	go func() {
		code <- run(ctx, append(isolated, "--interval", "1h", "--health-address", "127.0.0.1:0"),
			[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + upstream.address, "OTEL_RESOURCE_ATTRIBUTES=k8s.pod.name=pod-1,k8s.cluster.name=", "OTEL_SERVICE_NAME=svc"},
			io.Discard, &log)
	}()
	<-upstream.first
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d\n%s", got, log.String())
	}
	if got := len(upstream.received); got != 2 {
		t.Errorf("%d exports, want the first and the last", got)
	}
	attributes := map[string]string{}
	for _, kv := range upstream.received[0].GetResource().GetAttributes() {
		attributes[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	for key, want := range map[string]string{"service.name": "svc", "k8s.pod.name": "pod-1", "telemetry.sdk.language": "go"} {
		if attributes[key] != want {
			t.Errorf("%s: got %q, want %q", key, attributes[key], want)
		}
	}
	for key := range attributes {
		if key == "k8s.cluster.name" {
			t.Error("an attribute without a value was sent")
		}
		if key == "process.command_args" || key == "process.command_line" {
			t.Errorf("%s was sent, but may contain secrets", key)
		}
	}
}

func TestSendsToAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otlp.sock")
	upstream := startSinkAt(t, "unix:"+path)
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int)
	go func() {
		code <- run(ctx, append(isolated, "--otlp-endpoint", "unix://"+path, "--health-address", "off"), nil, io.Discard, io.Discard)
	}()
	<-upstream.first
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}

func TestSummaryIsShownWithoutAnEndpoint(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // immediately, so that there is only a first and a last collection
	var out, log bytes.Buffer
	if code := run(ctx, append(isolated, "--health-address", "off"), nil, &out, &log); code != 0 {
		t.Fatalf("exit code %d: %s", code, log.String())
	}
	for _, want := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4317 sidecar", "host ", "memory "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the summary:\n%s", want, out.String())
		}
	}
}

func TestHealthPortInUseIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	code, _, stderr := execute(append(isolated, "--health-address", listener.Addr().String())...)
	if code != exitFailed ||
		!strings.HasPrefix(
			stderr,
			"sidecar: --health-address: listen tcp "+listener.Addr().String(),
		) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestBadUsagePrintsOneHelpfulLine(t *testing.T) {
	for args, want := range map[string]string{
		"--intervall=1s":       "sidecar: unknown flag --intervall, did you mean --interval?\n",
		"chek":                 "sidecar: unknown command \"chek\", did you mean \"check\"?\n",
		"--host false":         "sidecar: unexpected argument \"false\": set a boolean flag with =, as in --host=false\n",
		"check it":             "sidecar: check takes no arguments, got \"it\"\n",
		"check --interval=ten": "sidecar: --interval: expected a duration such as 10s, or a number of milliseconds, from 100ms to 24h, got \"ten\"\n",
		"-z":                   "sidecar: unknown flag -z; flags begin with two dashes\n",
		"--cgroup-root=/proc":  "sidecar: --cgroup-root: ",
	} {
		code, _, stderr := execute(strings.Fields(args)...)
		if code == 0 || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d: %s", args, code, stderr)
		}
	}
}

func TestCheckDescribesTheConfiguration(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"check", "The configuration is valid; a summary is shown on the terminal.\nThe app's telemetry is received at 127.0.0.1:4317, 127.0.0.1:4318.\n"},
		{"check --otlp-endpoint=http://h:4317", "The configuration is valid; telemetry is sent to http://h:4317.\n" +
			"The app's telemetry is received at 127.0.0.1:4317, 127.0.0.1:4318; the queue is in memory.\n"},
		{
			"check --otlp-endpoint=http://h:4317 --relay-grpc-address=off --relay-http-address=off --queue-dir=.",
			"The configuration is valid; telemetry is sent to http://h:4317.\nThe app's telemetry is not received; the queue is in ..\n",
		},
		{
			"check --exporter=none --relay-http-address=off",
			"The configuration is valid; the exporter is none: no metrics are sent.\nThe app's telemetry is received at 127.0.0.1:4317.\n",
		},
		{"check --sdk-disabled", "The configuration is valid; OTEL_SDK_DISABLED or --sdk-disabled is set: nothing is served except the health endpoints.\n"},
	} {
		code, stdout, stderr := execute(strings.Fields(c.args)...)
		if code != 0 || stdout != c.want {
			t.Errorf("%s: exit code %d: %s%s\nwant\n%s", c.args, code, stdout, stderr, c.want)
		}
	}
}

func TestMetricsVersionAndCompletion(t *testing.T) {
	for command, want := range map[string]string{
		"metrics": "system.cpu.time", "version": "poolgauge sidecar ", "completion bash": "bash completion",
	} {
		code, stdout, stderr := execute(strings.Fields(command)...)
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit code %d, no %q in %.200s%s", command, code, want, stdout, stderr)
		}
	}
}

func TestSDKDisabledSamplesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var log bytes.Buffer
	if code := run(
		ctx,
		nil,
		[]string{"OTEL_SDK_DISABLED=true"},
		io.Discard,
		&log,
	); code != 0 ||
		!strings.Contains(log.String(), "nothing is served except the health endpoints") {
		t.Errorf("exit code %d: %s", code, log.String())
	}
}

func TestHealthEndpointsReturnOK(t *testing.T) {
	upstream := startSink(t)
	ctx, cancel := context.WithCancel(context.Background())
	var log logtest.Buffer
	code := make(chan int)
	go func() {
		code <- run(ctx, append(isolated, "--health-address", "127.0.0.1:0", "--otlp-endpoint", "http://"+upstream.address, "--log-level", "debug"), nil, io.Discard, &log)
	}()
	<-upstream.first
	address := logged(t, &log, "serving health checks", "address")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{"/healthz", "/readyz"} {
		response, err := client.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s returned %s, want 200 OK", path, response.Status)
		}
		_ = response.Body.Close()
	}
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}

// logged waits until a sidecar has logged a message, and returns the value of the attribute key of
// that message.
func logged(t *testing.T, log *logtest.Buffer, message, key string) string {
	t.Helper()
	return written(t, log, `msg="`+message+`".* `+key+`=(\S+)`)
}

// written waits until a sidecar's output matches pattern, and returns the pattern's first group.
func written(t *testing.T, to *logtest.Buffer, pattern string) string {
	t.Helper()
	line := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if found := line.FindStringSubmatch(to.String()); found != nil {
			return found[1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing that matches %s was written in time; the output is\n%s", pattern, to.String())
		}
	}
}

// freeAddress returns an address on which nothing is listening. Do not use it to listen: another
// process may take the port first.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
