package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	sequenceMetric   = "e2e.sequence"
	pointsPerRequest = 10
	epoch            = int64(1_700_000_000_000_000_000) // time of the first point
)

// app is a program that sends numbered requests and records which of them were acknowledged. Each
// number is sent once. A request that was not acknowledged may or may not have arrived.
type app struct {
	padding int // bytes added to each request

	mu    sync.Mutex // guards the fields below
	next  int64
	acked []int64
}

// transport sends a request to a sidecar.
type transport func(ctx context.Context, r *colmetricpb.ExportMetricsServiceRequest) error

// send sends the next request, and returns its error.
func (a *app) send(ctx context.Context, to transport) error {
	a.mu.Lock()
	seq := a.next
	a.next++
	a.mu.Unlock()
	if err := to(ctx, sequenceRequest(seq, a.padding)); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acked = append(a.acked, seq)
	return nil
}

// sendAll sends n requests one after the other, over each transport in turn. It fails the test if
// one is not acknowledged.
func (a *app) sendAll(t *testing.T, n int, to ...transport) {
	t.Helper()
	for i := range n {
		if err := a.send(t.Context(), to[i%len(to)]); err != nil {
			t.Fatalf("sending request %d of %d: %v", i, n, err)
		}
	}
}

// load sends a request over each transport once per pause, until ctx is done. wait returns when all
// requests have completed.
func (a *app) load(ctx context.Context, pause time.Duration, to ...transport) (wait func()) {
	var senders sync.WaitGroup
	for _, via := range to {
		senders.Go(func() {
			for tick := time.NewTicker(pause); ctx.Err() == nil; {
				_ = a.send(context.WithoutCancel(ctx), via) // a failed request is not acknowledged
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	return senders.Wait
}

func (a *app) acknowledged() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.acked)
}

// sequenceRequest returns request number seq. Requests with the same padding have the same size.
// Every point contains the number and has a unique time.
func sequenceRequest(seq int64, padding int) *colmetricpb.ExportMetricsServiceRequest {
	points := make([]*metricpb.NumberDataPoint, pointsPerRequest)
	for i := range points {
		points[i] = &metricpb.NumberDataPoint{
			TimeUnixNano: uint64(
				epoch + seq*pointsPerRequest + int64(i),
			),
			Value: &metricpb.NumberDataPoint_AsInt{AsInt: seq},
		}
	}
	metric := &metricpb.Metric{
		Name: sequenceMetric,
		Data: &metricpb.Metric_Gauge{Gauge: &metricpb.Gauge{DataPoints: points}},
	}
	return &colmetricpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricpb.ResourceMetrics{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
			stringAttribute("service.name", "app"), stringAttribute("padding", strings.Repeat("x", padding)),
		}},
		ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: []*metricpb.Metric{metric}}},
	}}}
}

func stringAttribute(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{
		Key:   key,
		Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}},
	}
}

// overGRPC returns a transport to host:port or unix:path. It connects when it is first used, and
// waits for a sidecar that has not started yet.
func overGRPC(t *testing.T, target string) transport {
	connect := sync.OnceValue(
		func() colmetricpb.MetricsServiceClient { return colmetricpb.NewMetricsServiceClient(dial(t, target)) },
	)
	return func(ctx context.Context, r *colmetricpb.ExportMetricsServiceRequest) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err := connect().Export(ctx, r, grpc.WaitForReady(true))
		return err
	}
}

func dial(t *testing.T, target string) *grpc.ClientConn {
	t.Helper()
	quick := grpc.ConnectParams{MinConnectTimeout: time.Second}
	quick.Backoff.BaseDelay, quick.Backoff.Multiplier, quick.Backoff.MaxDelay = 5*time.Millisecond, 1.5, 50*time.Millisecond
	conn, err := grpc.NewClient(
		target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(quick),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// httpStatus is the error for a response whose status is not 200.
type httpStatus struct {
	code   int
	header http.Header
	body   string
}

// Error implements error.
func (s *httpStatus) Error() string { return fmt.Sprintf("%d: %s", s.code, s.body) }

// post sends body to an OTLP/HTTP URL. The error is an httpStatus if the response has a status
// other than 200.
func post(ctx context.Context, url, contentType, encoding string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return &httpStatus{response.StatusCode, response.Header, text.String()}
	}
	return nil
}

// overHTTP returns a transport that sends compressed protobuf.
func overHTTP(address string) transport {
	return func(ctx context.Context, r *colmetricpb.ExportMetricsServiceRequest) error {
		body, err := proto.Marshal(r)
		if err != nil {
			return err
		}
		return post(ctx, "http://"+address+"/v1/metrics", "application/x-protobuf", "gzip", gzipped(body))
	}
}

func overJSON(address string) transport {
	return func(ctx context.Context, r *colmetricpb.ExportMetricsServiceRequest) error {
		body, err := protojson.Marshal(r)
		if err != nil {
			return err
		}
		return post(ctx, "http://"+address+"/v1/metrics", "application/json", "", body)
	}
}

func gzipped(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // to memory, so it cannot fail
	_ = w.Close()
	return b.Bytes()
}
