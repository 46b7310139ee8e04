package relay

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// sink is an upstream that accepts everything and counts the items.
type sink struct {
	mu       sync.Mutex
	accepted map[otlp.Signal]int64
}

func (s *sink) Send(_ context.Context, b export.Request) (export.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[b.Signal] += b.Points
	return export.Result{}, nil
}

func (*sink) Close() error { return nil }

// A request of a signal without an endpoint is refused immediately, rather than accepted and then
// dropped.
func TestSignalWithoutEndpointIsRefused(t *testing.T) {
	upstream := &sink{accepted: map[otlp.Signal]int64{}}
	r, err := Start(context.Background(), Config{
		HTTP:  "127.0.0.1:0",
		Queue: queue.Config{Limit: 1 << 20},
		Meter: noop.Meter{},
		Log:   slog.New(slog.DiscardHandler),
		Dial: func(signal otlp.Signal) (export.Lane, error) {
			if signal == otlp.Metrics {
				return export.Lane{Client: upstream, Timeout: time.Second}, nil
			}
			return export.Lane{}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, m proto.Message) (status int, text string) {
		body, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(
			context.Background(),
			http.MethodPost,
			"http://"+r.server.HTTPAddr().String()+path,
			bytes.NewReader(body),
		)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-protobuf")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(answer)
	}
	status, text := post("/v1/traces", &coltracepb.ExportTraceServiceRequest{
		ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{}, {}}}}}},
	})
	if status != http.StatusUnsupportedMediaType || !strings.Contains(text, "not configured to relay traces") {
		t.Errorf("traces: status %d %q, want 415", status, text)
	}
	status, text = post("/v1/metrics", &colmetricpb.ExportMetricsServiceRequest{
		ResourceMetrics: []*metricpb.ResourceMetrics{
			{ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: []*metricpb.Metric{
				{
					Data: &metricpb.Metric_Gauge{
						Gauge: &metricpb.Gauge{DataPoints: []*metricpb.NumberDataPoint{{}, {}, {}}},
					},
				},
			}}}},
		},
	})
	if status != http.StatusOK {
		t.Errorf("metrics: status %d %q, want 200", status, text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	a := r.exporter.Account()
	if upstream.accepted[otlp.Metrics] != 3 || len(upstream.accepted) != 1 || a.Sent[queue.Metrics] != 3 ||
		len(a.Rejected) != 0 {
		t.Errorf("upstream accepted %v, account %+v; want 3 metrics points only", upstream.accepted, a)
	}
}
