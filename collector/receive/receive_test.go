package receive

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Requests of each signal arrive unchanged over every transport.
func TestEveryTransport(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	b := start(t, func(c *Config, _ *limits) { c.Socket = socket })
	tcp, unix := dial(t, b.GRPCAddr().String()), dial(t, "unix:"+socket)
	for _, signal := range otlp.Signals() {
		data := sample(t, signal)
		if signal == otlp.Metrics {
			data = metrics(t, 3000) // more than one frame
		}
		for name, send := range map[string]func() bool{
			"gRPC": func() bool {
				s, a := export(t.Context(), tcp, signal, data)
				return s.Code() == codes.OK && len(a) == 0
			},
			"socket": func() bool { s, _ := export(t.Context(), unix, signal, data); return s.Code() == codes.OK },
			"gRPC gzip": func() bool {
				s, _ := export(t.Context(), tcp, signal, data, grpc.UseCompressor(gzip.Name))
				return s.Code() == codes.OK
			},
			"HTTP": func() bool {
				r, a := b.post(t, signal.Path(), data, "Content-Type", "application/x-protobuf")
				return r.StatusCode == http.StatusOK && len(a) == 0 && r.Header.Get("Content-Type") == "application/x-protobuf"
			},
			"gRPC zstd": func() bool {
				s, _ := export(t.Context(), tcp, signal, data, grpc.UseCompressor(compress.Zstd))
				return s.Code() == codes.OK
			},
			"HTTP zstd": func() bool {
				packed, err := compress.Pack(compress.Zstd, data)
				if err != nil {
					t.Fatal(err)
				}
				r, _ := b.post(t, signal.Path(), packed, "Content-Type", "application/x-protobuf", "Content-Encoding", "zstd")
				return r.StatusCode == http.StatusOK
			},
			"HTTP gzip": func() bool {
				r, _ := b.post(t, signal.Path(), gzipped(t, data), "Content-Type", "application/x-protobuf", "Content-Encoding", "gzip")
				return r.StatusCode == http.StatusOK
			},
		} {
			before := len(b.accepted())
			if !send() {
				t.Errorf("%v over %s: the response is not a success without content", signal, name)
			}
			got := b.accepted()[before:]
			points, _ := otlp.Inspect(signal, data)
			if len(got) != 1 || got[0].Signal != signal || got[0].Points != points || !bytes.Equal(got[0].Data, data) {
				t.Errorf("%v over %s: accepted %d batches, want one equal to what was sent", signal, name, len(got))
			}
		}
	}
}

func TestJSON(t *testing.T) {
	b := start(t, nil)
	for _, signal := range otlp.Signals() {
		body, err := os.ReadFile("../otlp/testdata/" + signal.String() + ".json")
		if err != nil {
			t.Fatal(err)
		}
		want, err := otlp.FromJSON(signal, body)
		if err != nil {
			t.Fatal(err)
		}
		r, response := b.post(
			t,
			signal.Path(),
			gzipped(t, body),
			"Content-Type",
			"application/json; charset=utf-8",
			"Content-Encoding",
			"gzip",
		)
		if r.StatusCode != http.StatusOK || string(response) != "{}" ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v: got status %d and %q, want 200 and {} as JSON", signal, r.StatusCode, response)
		}
		points, _ := otlp.Inspect(signal, want)
		if got := b.accepted()[len(b.accepted())-1]; got.Signal != signal || got.Points != points ||
			len(got.Data) != len(want) {
			t.Errorf("%v: %d points in %d bytes, want %d in %d", signal, got.Points, len(got.Data), points, len(want))
		}
	}
}

// Requests from the SDK's exporters are accepted.
func TestExportersOfTheSDK(t *testing.T) {
	b := start(t, nil)
	overGRPC, err := otlpmetricgrpc.New(
		t.Context(),
		otlpmetricgrpc.WithEndpoint(b.GRPCAddr().String()),
		otlpmetricgrpc.WithInsecure(),
	)
	if err != nil {
		t.Fatal(err)
	}
	overHTTP, err := otlpmetrichttp.New(
		t.Context(),
		otlpmetrichttp.WithEndpoint(b.HTTPAddr().String()),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []sdkmetric.Exporter{overGRPC, overHTTP} {
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(e)))
		counter, _ := provider.Meter("m").Int64Counter("c")
		counter.Add(t.Context(), 1)
		if err := provider.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := b.accepted(); len(got) != 2 || got[0].Points != 1 || got[1].Points != 1 {
		t.Errorf("accepted %d batches, want two with one point each", len(got))
	}
}

// The SDK's exporter retries a refused request, and nothing is lost.
func TestExporterRetries(t *testing.T) {
	refuse := true
	var got int64
	b := start(t, func(c *Config, _ *limits) {
		// there is one exporter, so calls are not concurrent
		c.Accept = func(_ context.Context, batch otlp.Batch) error {
			if refuse {
				refuse = false
				return &Refusal{Reason: Queue, RetryAfter: time.Millisecond, Message: "not yet"}
			}
			got += batch.Points
			return nil
		}
	})
	e, err := otlpmetricgrpc.New(
		t.Context(),
		otlpmetricgrpc.WithEndpoint(b.GRPCAddr().String()),
		otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithRetry(
			otlpmetricgrpc.RetryConfig{
				Enabled:         true,
				InitialInterval: time.Millisecond,
				MaxInterval:     time.Millisecond,
				MaxElapsedTime:  time.Minute,
			},
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(e)))
	counter, _ := provider.Meter("m").Int64Counter("c")
	counter.Add(t.Context(), 1)
	if err := provider.Shutdown(t.Context()); err != nil || got != 1 {
		t.Errorf("accepted %d points, error %v, want 1 point", got, err)
	}
	b.checkRefused(t, refused{otlp.Metrics, 1, Queue})
}

// Every refusal has the right status and reason, over both gRPC and HTTP, and tells the client
// whether it may retry.
func TestRefusals(t *testing.T) {
	failing := func(err error) func(*Config, *limits) {
		return func(c *Config, _ *limits) { c.Accept = func(context.Context, otlp.Batch) error { return err } }
	}
	small := func(_ *Config, l *limits) { l.message = 1000 }
	for name, c := range map[string]struct {
		change func(*Config, *limits)
		data   []byte
		points int64
		reason Reason
		code   codes.Code
		http   int
		retry  bool
	}{
		"malformed":            {nil, []byte{0x0a, 0x05}, 0, Malformed, codes.InvalidArgument, 400, false},
		"too large":            {small, metrics(t, 100), 0, TooLarge, codes.ResourceExhausted, 413, false},
		"accept fails":         {failing(errors.New("disk")), metrics(t, 2), 2, Queue, codes.Unavailable, 503, true},
		"too large for queue":  {failing(&Refusal{Reason: TooLarge, Message: "queue"}), metrics(t, 2), 2, TooLarge, codes.ResourceExhausted, 413, false},
		"malformed for enrich": {failing(otlp.ErrMalformed), metrics(t, 2), 2, Malformed, codes.InvalidArgument, 400, false},
	} {
		b := start(t, c.change)
		s, _ := export(t.Context(), dial(t, b.GRPCAddr().String()), otlp.Metrics, c.data)
		if s.Code() != c.code || (retryDelayOf(s) > 0) != c.retry {
			t.Errorf("%s: gRPC status is %v with %v, want %v and retry %t", name, s, s.Details(), c.code, c.retry)
		}
		b.checkRefused(t, refused{otlp.Metrics, c.points, c.reason})
		r, body := b.post(t, "/v1/metrics", c.data, "Content-Type", protobufFormat.contentType)
		if r.StatusCode != c.http || (r.Header.Get("Retry-After") == "1") != c.retry {
			t.Errorf("%s: HTTP %d, Retry-After %q, want %d", name, r.StatusCode, r.Header.Get("Retry-After"), c.http)
		}
		details := &statuspb.Status{}
		if err := proto.Unmarshal(
			body,
			details,
		); err != nil || codes.Code(details.GetCode()) != statusCodes[c.reason].code ||
			details.GetMessage() == "" {
			t.Errorf("%s: HTTP body is %v, %v, want code %v and a message", name, details, err, c.code)
		}
		b.checkRefused(t, refused{otlp.Metrics, c.points, c.reason})
	}
}

func retryDelayOf(s *status.Status) time.Duration {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

func TestRate(t *testing.T) {
	b := start(t, func(c *Config, _ *limits) { c.Rate = 1 })
	conn, data := dial(t, b.GRPCAddr().String()), metrics(t, 1000)
	if s, _ := export(t.Context(), conn, otlp.Metrics, data); s.Code() != codes.OK {
		t.Fatalf("first request: got %v, want OK", s)
	}
	s, _ := export(t.Context(), conn, otlp.Metrics, data)
	if wait := retryDelayOf(
		s,
	); s.Code() != codes.ResourceExhausted || wait < 900*time.Second ||
		wait > 1000*time.Second {
		t.Errorf("second request: got %v, retry after %v, want ResourceExhausted and 900 s to 1000 s", s, wait)
	}
	b.checkRefused(t, refused{otlp.Metrics, 1000, Rate})
	r, _ := b.post(t, "/v1/metrics", data, "Content-Type", "application/x-protobuf")
	if after := r.Header.Get(
		"Retry-After",
	); r.StatusCode != http.StatusTooManyRequests ||
		len(after) != 3 && after != "1000" {
		t.Errorf("HTTP: got status %d, Retry-After %q, want 429 and 100 to 1000", r.StatusCode, after)
	}
	b.checkRefused(t, refused{otlp.Metrics, 1000, Rate})
}

// The rate is exact in the long run, whatever the size of the requests.
func TestRateExactly(t *testing.T) {
	for _, size := range []int64{1, 10, 5000} {
		r, now, passed := rate{perPoint: time.Second / 1000}, time.Unix(1, 0), int64(0)
		for end := now.Add(100 * time.Second); now.Before(end); now = now.Add(time.Millisecond) {
			for range 3 {
				if r.admit(now, size) == 0 {
					passed += size
				}
			}
		}
		if passed < 100_000-size || passed > 101_000+size {
			t.Errorf("requests of %d points: admitted %d points in 100 s, want about 1000 a second", size, passed)
		}
	}
}

// While requests of one signal wait for the queue, further requests of that signal are refused.
// Other signals are not affected.
func TestWaitingSignalDoesNotBlockOthers(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	data := metrics(t, 10)
	b := start(t, func(c *Config, l *limits) {
		l.waiting = int64(len(data))
		c.Accept = func(_ context.Context, batch otlp.Batch) error {
			if batch.Signal == otlp.Metrics {
				entered <- struct{}{}
				<-leave
			}
			return nil
		}
	})
	conn := dial(t, b.GRPCAddr().String())
	first := make(chan codes.Code)
	go func() {
		s, _ := export(context.Background(), conn, otlp.Metrics, data)
		first <- s.Code()
	}()
	<-entered
	if s, _ := export(
		t.Context(),
		conn,
		otlp.Metrics,
		data,
	); s.Code() != codes.ResourceExhausted ||
		retryDelayOf(s) != retryDelay {
		t.Errorf("metrics over gRPC: got %v, want ResourceExhausted with a retry delay of %v", s, retryDelay)
	}
	b.checkRefused(t, refused{otlp.Metrics, 10, Full})
	r, _ := b.post(t, "/v1/metrics", data, "Content-Type", "application/x-protobuf")
	if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "1" {
		t.Errorf("metrics over HTTP: got status %d, want 429 with Retry-After 1", r.StatusCode)
	}
	b.checkRefused(t, refused{otlp.Metrics, 10, Full})
	if s, _ := export(t.Context(), conn, otlp.Logs, record); s.Code() != codes.OK {
		t.Errorf("logs: got %v, want OK", s)
	}
	close(leave)
	if code := <-first; code != codes.OK {
		t.Errorf("first request: got %v, want OK", code)
	}
	go func() { <-entered }()
	if s, _ := export(t.Context(), conn, otlp.Metrics, data); s.Code() != codes.OK {
		t.Errorf("once nothing waits: got %v, want OK", s)
	}
}
