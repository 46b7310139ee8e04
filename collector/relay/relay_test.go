package relay

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/logtest"

	"go.opentelemetry.io/otel/sdk/metric"
	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// request returns a request of an app whose resource already has a host name.
func request(value int64) *colmetricpb.ExportMetricsServiceRequest {
	host := &commonpb.KeyValue{
		Key:   "host.name",
		Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: "its own"}},
	}
	point := &metricpb.NumberDataPoint{TimeUnixNano: 1, Value: &metricpb.NumberDataPoint_AsInt{AsInt: value}}
	gauge := &metricpb.Metric{
		Name: "app",
		Data: &metricpb.Metric_Gauge{Gauge: &metricpb.Gauge{DataPoints: []*metricpb.NumberDataPoint{point}}},
	}
	return &colmetricpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricpb.ResourceMetrics{{
		Resource:     &resourcepb.Resource{Attributes: []*commonpb.KeyValue{host}},
		ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: []*metricpb.Metric{gauge}}},
	}}}
}

// send sends a request to the relay as an app does.
func (b *bench) send(t *testing.T, r *colmetricpb.ExportMetricsServiceRequest) error {
	t.Helper()
	conn, err := grpc.NewClient(b.server.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = colmetricpb.NewMetricsServiceClient(conn).Export(ctx, r, grpc.WaitForReady(true))
	return err
}

// The app's points get the attributes that they lack, and the sidecar's own points get none. Both
// arrive and are counted.
func TestRelay(t *testing.T) {
	u := listen(t, "127.0.0.1:0", nil)
	b := start(t, u.Addr, nil)
	if state, err := b.Ready(); err != nil || state != "queue in memory: empty, limit 1048576 bytes" {
		t.Errorf("Ready: state %q, error %v; want an empty queue and no error", state, err)
	}
	if err := b.send(t, request(7)); err != nil {
		t.Fatal(err)
	}
	p := u.next(t)
	if p.Metric != "app" || p.Value != 7 || p.Resource["host.name"] != "its own" ||
		p.Resource["k8s.pod.name"] != "web-7" {
		t.Errorf("arrived point of the app: %+v, want its own host name and the added pod name", p)
	}
	b.Push(collection(8))
	p = u.next(t)
	if _, added := p.Resource["k8s.pod.name"]; p.Metric != "own" || p.Value != 8 || added {
		t.Errorf("arrived point of the sidecar: %+v, want no added attributes", p)
	}
	b.shutdown(t, time.Minute)
	got := b.points(t)
	if got["accepted"] != 2 || got["sent"] != 2 || got["queued"] != 0 || got["dropped"] != 0 || got["refused"] != 0 {
		t.Errorf("points %v, want two accepted and sent", got)
	}
}

// Enrich replaces the attributes that are added.
func TestEnrichReplacesAttributes(t *testing.T) {
	u := listen(t, "127.0.0.1:0", nil)
	b := start(t, u.Addr, nil)
	if err := b.Enrich(attribute.NewSet(attribute.String("container.id", "c1"))); err != nil {
		t.Fatal(err)
	}
	if err := b.send(t, request(1)); err != nil {
		t.Fatal(err)
	}
	if p := u.next(t); p.Resource["container.id"] != "c1" || p.Resource["k8s.pod.name"] != "" {
		t.Errorf("arrived point: %+v, want only the new attribute", p)
	}
}

// A request larger than the queue is refused and counted, and does not affect later requests.
func TestRefused(t *testing.T) {
	u := listen(t, "127.0.0.1:0", nil)
	b := start(t, u.Addr, func(c *Config) { c.Queue.Limit = 200 })
	large := request(1)
	large.ResourceMetrics[0].SchemaUrl = strings.Repeat("x", 300)
	if err := b.send(t, large); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("request larger than the queue: error %v, want RESOURCE_EXHAUSTED", err)
	}
	if got := b.points(t); got["refused too_large"] != 1 || got["accepted"] != 0 {
		t.Errorf("points %v, want one refused", got)
	}
	if err := b.send(t, request(2)); err != nil {
		t.Fatal(err)
	}
	u.next(t)
}

// In an outage, Ready returns the error and what is queued. Shutdown keeps the queued items, and
// the next relay with the same directory sends them.
func TestOutage(t *testing.T) {
	dir := t.TempDir()
	requests := make(chan struct{}, 1000)
	refusing := listen(t, "127.0.0.1:0", func(context.Context) error {
		requests <- struct{}{}
		return status.Error(codes.Unavailable, "not now")
	})
	b := start(t, refusing.Addr, func(c *Config) { c.Queue.Dir = dir })
	for value := range int64(3) {
		if err := b.send(t, request(value)); err != nil {
			t.Fatal(err)
		}
	}
	<-requests
	b.awaitFailure(t)
	state, err := b.Ready()
	if err == nil || !strings.Contains(err.Error(), "not now") ||
		!strings.HasPrefix(state, "queue on disk: 3 items, ") {
		t.Errorf("Ready: state %q, error %v; want 3 items on disk and the upstream's error", state, err)
	}
	b.shutdown(t, 200*time.Millisecond)
	if !strings.Contains(b.log.String(), "items=3 kept=true") {
		t.Errorf("the log does not say what is kept:\n%s", b.log)
	}

	u := listen(t, "127.0.0.1:0", nil)
	b = start(t, u.Addr, func(c *Config) { c.Queue.Dir = dir })
	for value := range 3 {
		if p := u.next(t); int(p.Value) != value {
			t.Errorf("point with value %v arrived, want %d", p.Value, value)
		}
	}
	b.shutdown(t, time.Minute)
	if got := b.points(t); got["recovered"] != 3 || got["sent"] != 3 || got["resent"] < 1 || got["accepted"] != 0 {
		t.Errorf("points %v, want three recovered and sent, at least one of them resent", got)
	}
}

// awaitFailure waits until the exporter has read the upstream's response.
func (b *bench) awaitFailure(t *testing.T) {
	t.Helper()
	// poll: nothing signals the failure
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := b.Ready(); err != nil {
			return
		}
		if time.Now().After(until) {
			t.Fatal("Ready still returns no error in an outage")
		}
	}
}

// Without a directory, queued items are lost at shutdown, and the log says so.
func TestShutdownInMemory(t *testing.T) {
	refusing := listen(
		t,
		"127.0.0.1:0",
		func(context.Context) error { return status.Error(codes.Unavailable, "not now") },
	)
	b := start(t, refusing.Addr, nil)
	b.Push(collection(1))
	begun := time.Now()
	b.shutdown(t, 200*time.Millisecond)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("shutdown took %v, want at most 10s", took)
	}
	if !strings.Contains(b.log.String(), "items=1 kept=false") {
		t.Errorf("the log does not say what is lost:\n%s", b.log)
	}
}

// An upstream that never responds blocks neither Push nor Shutdown.
func TestHangingUpstream(t *testing.T) {
	requests := make(chan struct{}, 1000)
	hanging := listen(t, "127.0.0.1:0", func(ctx context.Context) error {
		requests <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	b := start(t, hanging.Addr, nil)
	for value := range int64(10) {
		b.Push(collection(value))
	}
	<-requests
	b.shutdown(t, 200*time.Millisecond)
	if !strings.Contains(b.log.String(), "items=10 kept=false") {
		t.Errorf("the log does not say what is lost:\n%s", b.log)
	}
}

// If Start fails, it leaves nothing running, which goleak verifies.
func TestStartFails(t *testing.T) {
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"--relay-grpc-address": func(c *Config) { c.GRPC = used.Addr().String() },
		"--relay-http-address": func(c *Config) { c.HTTP = used.Addr().String() },
		"notes.txt":            func(c *Config) { c.Queue.Dir = foreign },
		"queue limit":          func(c *Config) { c.Queue.Limit = 0 },
	} {
		cfg := (&bench{reader: metric.NewManualReader(), log: &logtest.Buffer{}}).config("127.0.0.1:1")
		change(&cfg)
		if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start: error %v, want one with %q", err, want)
		}
	}
}

// If the queue's directory cannot be used, the queue is in memory, provided that Bear returns nil.
func TestBearDecidesWhetherTheQueueMayBeInMemory(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	u := listen(t, "127.0.0.1:0", nil)
	b := start(t, u.Addr, func(c *Config) {
		c.Queue.Dir = foreign
		c.Bear = func(error) error { return nil }
	})
	if err := b.send(t, request(1)); err != nil {
		t.Fatal(err)
	}
	u.next(t)

	cfg := b.config(u.Addr)
	cfg.Queue.Dir = foreign
	cfg.Bear = func(err error) error { return err }
	if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("Start: error %v, want the one that Bear returned", err)
	}
}

// closeCounter is a client of an upstream that never responds. It counts the calls to Close.
type closeCounter struct {
	busy
	closed int
}

func (c *closeCounter) Close() error {
	c.closed++
	return nil
}

func TestStartThatFailsClosesTheClients(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"dial": func(c *Config) {
			dial := c.Dial
			c.Dial = func(s otlp.Signal) (export.Lane, error) {
				if s == otlp.Logs {
					return export.Lane{}, errors.New("no such upstream")
				}
				return dial(s)
			}
		},
		"queue": func(c *Config) { c.Queue.Limit = 0 },
	} {
		dialed, client := 0, &closeCounter{}
		cfg := (&bench{reader: metric.NewManualReader(), log: &logtest.Buffer{}}).config("127.0.0.1:1")
		cfg.Dial = func(otlp.Signal) (export.Lane, error) {
			dialed++
			return export.Lane{Client: client, Timeout: time.Second}, nil
		}
		change(&cfg)
		if _, err := Start(t.Context(), cfg); err == nil || dialed == 0 || client.closed != dialed {
			t.Errorf("%s: error %v; %d of %d clients closed, want all", name, err, client.closed, dialed)
		}
	}
}
