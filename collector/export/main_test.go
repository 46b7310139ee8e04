package export

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received is a request as it arrived.
type received struct {
	to     string // gRPC method or HTTP path
	header map[string][]string
	body   []byte
}

// grpcServer is an upstream that answers request n, starting at 0, by calling a function.
type grpcServer struct {
	addr   string
	server *grpc.Server

	mu  sync.Mutex
	got []received
}

// grpcAnswer returns the response to request n, or an error.
type grpcAnswer func(ctx context.Context, n int) ([]byte, error)

func grpcOK(context.Context, int) ([]byte, error) { return nil, nil }

// serveGRPC serves on l, and answers each request by calling answer.
func serveGRPC(t testing.TB, l net.Listener, answer grpcAnswer, opts ...grpc.ServerOption) *grpcServer {
	t.Helper()
	s := &grpcServer{addr: l.Addr().String()}
	s.server = grpc.NewServer(append(opts, grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(
		func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			md, _ := metadata.FromIncomingContext(stream.Context())
			var body []byte
			if err := stream.RecvMsg(&body); err != nil {
				return err
			}
			s.mu.Lock()
			n := len(s.got)
			s.got = append(s.got, received{method, md, body})
			s.mu.Unlock()
			reply, err := answer(stream.Context(), n)
			if err != nil {
				return err
			}
			return stream.SendMsg([][]byte{reply})
		}))...)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.server.Serve(l)
	}()
	t.Cleanup(func() {
		s.server.Stop()
		<-served
	})
	return s
}

func (s *grpcServer) requests() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// serveHTTP serves h on an arbitrary loopback address.
func serveHTTP(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// retryable reports whether a request that failed with f is sent again, as it is or in parts.
func retryable(f *Failure) bool { return f.Kind == Passing || f.Kind == Slow }

// fixedHeaders returns a Config.Headers function for headers that do not change.
func fixedHeaders(headers map[string]string) func() (map[string]string, error) {
	return func() (map[string]string, error) { return headers, nil }
}

func dial(t testing.TB, cfg Config) Client {
	t.Helper()
	c, err := Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, c) })
	return c
}

func mustClose(t testing.TB, c Client) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// partial returns a response that rejects the given number of points.
func partial(t testing.TB, rejected int64, message string) []byte {
	t.Helper()
	body, err := proto.Marshal(&colmetricpb.ExportMetricsServiceResponse{
		PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{RejectedDataPoints: rejected, ErrorMessage: message},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// metrics returns a batch of metrics. Its data is not OTLP, which suffices since clients do not
// inspect it.
func metrics(data string) otlp.Batch {
	return otlp.Batch{Signal: otlp.Metrics, Points: 3, Data: []byte(data)}
}

// requestOf returns a batch as a request in two pieces.
func requestOf(b otlp.Batch) Request {
	half := len(b.Data) / 2
	return Request{Signal: b.Signal, Points: b.Points, Data: [][]byte{b.Data[:half], b.Data[half:]}}
}

func mustSend(t testing.TB, c Client, b otlp.Batch) Result {
	t.Helper()
	r, err := c.Send(context.Background(), requestOf(b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustFail sends b, which must fail, and returns the failure.
//
//nolint:revive // t goes first in tests
func mustFail(t testing.TB, ctx context.Context, c Client, b otlp.Batch) *Failure {
	t.Helper()
	_, err := c.Send(ctx, requestOf(b))
	if err == nil {
		t.Fatal("Send succeeded, want a failure")
	}
	f, ok := err.(*Failure) //nolint:errorlint // it must be a Failure itself
	if !ok {
		t.Fatalf("Send returned a %T, want a *Failure", err)
	}
	return f
}
