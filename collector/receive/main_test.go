package receive

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testServer is a running server and what it received.
type testServer struct {
	*Server
	mu      sync.Mutex
	batches []otlp.Batch
	refused chan refused
}

type refused struct {
	signal otlp.Signal
	points int64
	reason Reason
}

// start runs a server; change, if not nil, may modify its configuration and limits.
func start(t testing.TB, change func(*Config, *limits)) *testServer {
	t.Helper()
	b := &testServer{refused: make(chan refused, 1000)}
	cfg := Config{
		GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Accept: func(_ context.Context, batch otlp.Batch) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.batches = append(b.batches, batch)
			return nil
		},
		Enrich: func(_ otlp.Signal, data []byte) ([]byte, error) { return bytes.Clone(data), nil },
		Refused: func(signal otlp.Signal, points int64, why *Refusal) {
			b.refused <- refused{signal, points, why.Reason}
		},
	}
	l := defaultLimits
	if change != nil {
		change(&cfg, &l)
	}
	var err error
	if b.Server, err = listen(t.Context(), cfg, l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// accepted returns the batches passed to Accept.
func (b *testServer) accepted() []otlp.Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.batches
}

// checkRefused waits for a call to Refused, which may come after gRPC's response, and compares it
// with want.
func (b *testServer) checkRefused(t *testing.T, want refused) {
	t.Helper()
	select {
	case got := <-b.refused:
		if got != want || len(b.refused) > 0 {
			t.Errorf("got refusal %v and %d more, want only %v", got, len(b.refused), want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("no request was refused, want %v", want)
	}
}

func dial(t testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// export sends data, a request in wire format, over gRPC. It returns the status and the response in
// wire format.
func export(
	ctx context.Context,
	conn *grpc.ClientConn,
	signal otlp.Signal,
	data []byte,
	opts ...grpc.CallOption,
) (*status.Status, []byte) {
	var response message
	err := conn.Invoke(
		ctx,
		signal.Method(),
		mem.BufferSlice{mem.SliceBuffer(data)},
		&response,
		append(opts, grpc.ForceCodecV2(rawCodec{}))...)
	if err != nil {
		return status.Convert(err), nil
	}
	return status.Convert(nil), response.data.Materialize()
}

// post sends a body over HTTP. headers are pairs of names and values.
func (b *testServer) post(t testing.TB, path string, body []byte, headers ...string) (*http.Response, []byte) {
	t.Helper()
	return b.request(t, http.MethodPost, path, bytes.NewReader(body), headers...)
}

func (b *testServer) request(
	t testing.TB,
	method, path string,
	body io.Reader,
	headers ...string,
) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.HTTPAddr().String()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, content
}

// metrics returns a request with n points of an exponential histogram, an exemplar and an unknown
// field.
func metrics(t testing.TB, n int) []byte {
	t.Helper()
	h := &metricspb.ExponentialHistogram{}
	for i := range n {
		p := &metricspb.ExponentialHistogramDataPoint{
			TimeUnixNano: uint64(
				i,
			),
			Count:     1,
			Positive:  &metricspb.ExponentialHistogramDataPoint_Buckets{BucketCounts: []uint64{1}},
			Exemplars: []*metricspb.Exemplar{{SpanId: []byte("12345678")}},
		}
		p.ProtoReflect().
			SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "from the future"))
		h.DataPoints = append(h.DataPoints, p)
	}
	data, err := proto.Marshal(&metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{{
			Name: "m", Data: &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: h},
		}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// record is a request with one span or one log record, whose encodings are identical.
var record = []byte{0x0a, 0x04, 0x12, 0x02, 0x12, 0x00}

func sample(t testing.TB, signal otlp.Signal) []byte {
	t.Helper()
	if signal == otlp.Metrics {
		return metrics(t, 1)
	}
	return record
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
