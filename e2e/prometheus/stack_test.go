package prometheus

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
)

// stack is the example service with a sidecar, as in a pod. The service sends OTLP to the sidecar,
// which forwards it to Prometheus together with its own points.
type stack struct {
	orders, paid string // URLs of the service and of its payments
	page         string // host:port of the sidecar's page
	binary       string // of the service
	stop         func()
}

const identityVariable = "OTEL_RESOURCE_ATTRIBUTES=k8s.cluster.name=test,k8s.namespace.name=shop,k8s.pod.name=orders-5d4f8c7b9d-x2k7p"

func startStack(t *testing.T, e *engine.Engine) *stack {
	t.Helper()
	s := &stack{binary: build(t, "../../examples/orders", ".", "orders"), page: freeAddress(t)}
	server := httptest.NewServer(e.OTLP)
	relay := freeAddress(t)
	stopSidecar := s.sidecar(t, server.URL, relay)
	stopOrders := s.serve(t, relay)
	s.stop = func() {
		stopOrders()
		stopSidecar()
		server.Close()
	}
	return s
}

func build(t *testing.T, module, pkg, name string, args ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	args = append(append([]string{"build", "-C", module, "-o", binary}, args...), pkg)
	if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, text)
	}
	return binary
}

func (s *stack) sidecar(t *testing.T, upstream, relay string) (stop func()) {
	t.Helper()
	tags := []string{"-tags", "grpcnotrace,nethttpomithttp2"}
	if raceEnabled {
		tags = append(tags, "-race")
	}
	cmd := exec.Command(
		build(t, "../..", "./cmd/sidecar", "sidecar", tags...),
		"--interval=1s",
		"--probe-cpu-interval=1s",
		"--probe-parallelism-interval=2s",
		"--probe-disk-interval=1s",
		"--probe-tcp="+strings.TrimPrefix(upstream, "http://"),
		"--probe-tcp-interval=1s",
		"--probe-budget=50",
		"--health-address=off",
		"--page-address="+s.page,
		"--relay-grpc-address="+relay,
		"--relay-http-address=off",
	)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), identityVariable, "GORACE=atexit_sleep_ms=0",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + upstream + "/api/v1/otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
	}
	return run(t, cmd)
}

var serving = regexp.MustCompile(`serving (http://\S+), payments at (http://\S+)`)

func (s *stack) serve(t *testing.T, relay string) (stop func()) {
	t.Helper()
	cmd := exec.Command(s.binary, "serve", "-listen=127.0.0.1:0", "-sqlite="+filepath.Join(t.TempDir(), "orders.db"))
	cmd.Env = []string{
		"PATH=" + os.Getenv(
			"PATH",
		),
		"OTEL_SERVICE_NAME=orders",
		"OTEL_METRIC_EXPORT_INTERVAL=1000",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + relay,
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stop = run(t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	found := serving.FindStringSubmatch(line)
	if found == nil {
		t.Fatalf("the service printed %q (%v), want its addresses", line, err)
	}
	s.orders, s.paid = found[1], found[2]
	return stop
}

// run starts a program that exits on an interrupt. stop interrupts it and waits until it has
// exited.
func run(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", cmd.Path, err, log.String())
		}
	}
}

// load sends rate orders a second for the given duration, or until the test ends.
func (s *stack) load(t *testing.T, rate int, duration time.Duration) {
	_ = exec.CommandContext(t.Context(), s.binary, "load", "-target="+s.orders, fmt.Sprintf("-rate=%d", rate), "-duration="+duration.String()).
		Run()
}

// payments sets how long a payment takes.
func (s *stack) payments(t *testing.T, latency string) {
	t.Helper()
	r, err := http.NewRequestWithContext(
		t.Context(),
		http.MethodPut,
		s.paid+"/faults?errors=0.01&latency="+latency,
		http.NoBody,
	)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
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
