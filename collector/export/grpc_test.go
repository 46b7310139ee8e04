package export

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// dialServer returns a client of s.
func dialServer(t testing.TB, s *grpcServer) Client {
	t.Helper()
	return dial(t, Config{Protocol: GRPC, URL: "http://" + s.addr})
}

func TestGRPCSendsBytesAsTheyAre(t *testing.T) {
	data := bytes.Repeat([]byte("\xfa\x3f\x03any"), 50_000) // an unknown field
	for _, compression := range []string{compress.None, compress.Gzip, compress.Zstd} {
		s := serveGRPC(t, listen(t, ""), grpcOK)
		c := dial(t, Config{
			Protocol: GRPC, Compression: compression, UserAgent: "poolgauge-sidecar/9", URL: "http://" + s.addr,
			Headers: fixedHeaders(map[string]string{"Tenant": "m"}),
		})
		for _, signal := range otlp.Signals() {
			equal(t, "result", mustSend(t, c, otlp.Batch{Signal: signal, Points: 1, Data: data}), Result{})
		}
		want := []string{
			"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
			"/opentelemetry.proto.collector.trace.v1.TraceService/Export",
			"/opentelemetry.proto.collector.logs.v1.LogsService/Export",
		}
		for i, got := range s.requests() {
			equal(t, "method", got.to, want[i])
			equal(t, "tenant", strings.Join(got.header["tenant"], ","), "m")
			equal(t, "type", got.header["content-type"][0], "application/grpc+proto")
			equal(t, "user agent", strings.HasPrefix(got.header["user-agent"][0], "poolgauge-sidecar/9"), true)
			equal(t, "data unchanged", bytes.Equal(got.body, data), true)
		}
		equal(t, "requests", len(s.requests()), 3)
	}
}

func TestGRPCUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otlp.sock")
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := serveGRPC(t, l, grpcOK)
	mustSend(t, dial(t, Config{Protocol: GRPC, URL: "unix://" + path}), metrics("x"))
	equal(t, "requests", len(s.requests()), 1)
}

// Every status is retried as specified, except that some of the permanent ones are held, and some
// are attributed to the content of the request.
func TestGRPCStatuses(t *testing.T) {
	passing := map[codes.Code]bool{
		codes.Canceled:         true,
		codes.DeadlineExceeded: true,
		codes.Aborted:          true,
		codes.OutOfRange:       true,
		codes.Unavailable:      true,
		codes.DataLoss:         true,
	}
	names := strings.Fields(
		`OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED
		FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED`,
	)
	for _, hint := range []time.Duration{-1, 0, 7 * time.Second, 24 * time.Hour, -time.Hour} {
		var answer error
		s := serveGRPC(t, listen(t, ""), func(context.Context, int) ([]byte, error) { return nil, answer })
		c := dialServer(t, s)
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			st := status.New(code, "because")
			if hint != -1 {
				var err error
				if st, err = st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(hint)}); err != nil {
					t.Fatal(err)
				}
			}
			answer = st.Err()
			f := mustFail(t, context.Background(), c, metrics("x"))
			kind := Held
			switch {
			case passing[code] || code == codes.ResourceExhausted && hint != -1:
				kind = Passing
			case code == codes.ResourceExhausted:
				kind = Large
			case code == codes.InvalidArgument:
				kind = Invalid
			case code == codes.Internal || code == codes.Unknown || code == codes.FailedPrecondition:
				kind = Split
			}
			var after time.Duration
			if kind == Passing {
				after = min(max(hint, 0), 5*time.Minute)
			}
			if f.Reason != names[code] || f.Kind != kind || f.After != after ||
				!strings.Contains(f.Error(), "because") {
				t.Errorf("%v with retry delay %v: got %+v, want kind %v, after %v", code, hint, f, kind, after)
			}
		}
	}
}

// Status codes that gRPC does not define share a single reason, however many an upstream sends.
func TestGRPCStatusWithoutName(t *testing.T) {
	s := serveGRPC(
		t,
		listen(t, ""),
		func(context.Context, int) ([]byte, error) { return nil, status.Error(4711, "what") },
	)
	f := mustFail(t, context.Background(), dialServer(t, s), metrics("x"))
	if f.Reason != "UNKNOWN" || f.Kind != Split {
		t.Errorf("got %+v, want reason UNKNOWN and kind Split", f)
	}
}

func TestGRPCResponses(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		want Result
	}{
		"nothing":        {nil, Result{}},
		"partial":        {partial(t, 2, "too old"), Result{2, "too old"}},
		"only a message": {partial(t, 0, "deprecated"), Result{0, "deprecated"}},
		"negative":       {partial(t, -2, ""), Result{}},
		"not OTLP":       {[]byte("\xff\xff"), Result{0, "the response is not OTLP"}},
	} {
		s := serveGRPC(t, listen(t, ""), func(context.Context, int) ([]byte, error) { return c.body, nil })
		equal(t, name, mustSend(t, dialServer(t, s), metrics("x")), c.want)
	}
}

// As soon as the upstream is back, the next request reaches it: gRPC's own backoff between
// connections, which grows to minutes, does not apply.
func TestGRPCUpstreamComesBack(t *testing.T) {
	l := listen(t, "")
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, Config{Protocol: GRPC, URL: "http://" + addr})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 8 {
		f := mustFail(t, ctx, c, metrics("x"))
		if !retryable(f) || f.Reason != "UNAVAILABLE" || !strings.Contains(f.Error(), "refused") {
			t.Fatalf("got %+v, want UNAVAILABLE, retryable, connection refused", f)
		}
	}
	serveGRPC(t, listen(t, addr), grpcOK)
	if _, err := c.Send(ctx, requestOf(metrics("x"))); err != nil {
		t.Error(err)
	}
}

// A request that fails with a response from the upstream does not close the connection.
func TestGRPCConnectionIsKept(t *testing.T) {
	s := serveGRPC(
		t,
		listen(t, ""),
		func(context.Context, int) ([]byte, error) { return nil, status.Error(codes.Unavailable, "busy") },
	)
	c := dialServer(t, s)
	first := c.(*grpcClient).conn
	for range 3 {
		_ = mustFail(t, context.Background(), c, metrics("x"))
	}
	equal(t, "connection", c.(*grpcClient).conn, first)
}

func TestDialErrors(t *testing.T) {
	for _, c := range []struct{ want, protocol, url string }{
		{`protocol: expected grpc or http/protobuf, got "http/json"`, "http/json", "http://h:1"},
		{`expected an http, https or unix URL, got "ftp://h:1"`, GRPC, "ftp://h:1"},
		{`expected an http or https URL for http/protobuf, got "unix:///s"`, HTTPProtobuf, "unix:///s"},
		{`expected an http or https URL for http/protobuf, got "http:///v1"`, HTTPProtobuf, "http:///v1"},
		{"missing protocol scheme", GRPC, ":x"},
	} {
		if _, err := Dial(
			Config{Protocol: c.protocol, URL: c.url},
		); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("Dial: error %v, want one with %q", err, c.want)
		}
	}
}

func TestGRPCTarget(t *testing.T) {
	for url, want := range map[string]string{
		"http://h:4317": "dns:///h:4317", "http://h": "dns:///h:80", "https://h/": "dns:///h:443", "https://[::1]": "dns:///[::1]:443",
		"http://[::1]:5317": "dns:///[::1]:5317", "unix:///run/a.sock": "unix:/run/a.sock",
	} {
		got, secure, err := grpcTarget(url)
		if got != want || err != nil || secure != strings.HasPrefix(url, "https") {
			t.Errorf("%s: target %s, secure %v, error %v; want target %s", url, got, secure, err, want)
		}
	}
}

// Items left in the queue of a signal that no longer has an endpoint are rejected, and the error
// names the signal.
func TestNowhere(t *testing.T) {
	f := mustFail(t, context.Background(), Nowhere(), otlp.Batch{Signal: otlp.Traces})
	if f.Kind != Invalid || f.Reason != "no_endpoint" || !strings.Contains(f.Error(), "traces") {
		t.Errorf("got %+v, want reason no_endpoint, kind Invalid and the signal in the error", f)
	}
}

// Headers are obtained for each request. While they are unavailable, nothing is lost.
func TestHeadersMayChange(t *testing.T) {
	s := serveGRPC(t, listen(t, ""), grpcOK)
	tokens := []string{"one", "", "two"}
	n := 0
	c := dial(t, Config{Protocol: GRPC, URL: "http://" + s.addr, Headers: func() (map[string]string, error) {
		token := tokens[n]
		n++
		if token == "" {
			return nil, errors.New("half written")
		}
		return map[string]string{"authorization": token}, nil
	}})
	mustSend(t, c, metrics("a"))
	if f := mustFail(
		t,
		context.Background(),
		c,
		metrics("b"),
	); f.Kind != Passing ||
		!strings.Contains(f.Error(), "half written") {
		t.Errorf("got %+v, want kind Passing and the error of Headers", f)
	}
	mustSend(t, c, metrics("b"))
	for i, want := range []string{"one", "two"} {
		equal(t, "token", s.requests()[i].header["authorization"][0], want)
	}
}

// A connection past its lifetime is replaced for the next request, and closed when its last request
// has completed.
func TestGRPCConnectionsAreReplaced(t *testing.T) {
	for range 100 {
		if life := ConnectionLife(); life < 4*time.Minute || life > 6*time.Minute {
			t.Fatalf("connection life is %v, want 4m to 6m", life)
		}
	}
	s := serveGRPC(t, listen(t, ""), grpcOK)
	client, _ := dialServer(t, s).(*grpcClient)
	mustSend(t, client, metrics("x"))
	first := client.acquire() // a request that takes a long time
	client.mu.Lock()
	first.until = time.Time{}
	client.mu.Unlock()
	mustSend(t, client, metrics("x"))
	second := client.acquire()
	client.release(second)
	if second == first {
		t.Fatal("the connection was not replaced")
	}
	equal(t, "first connection closed while in use", first.GetState() == connectivity.Shutdown, false)
	client.release(first)
	equal(t, "state of the first connection after its last request", first.GetState(), connectivity.Shutdown)
}

func TestResponseThatCannotBeDecompressedIsAnError(t *testing.T) {
	var body []byte
	cut := mem.BufferSlice{mem.SliceBuffer("\x1fg\x1f\x8b\x08")} // the mark, and the beginning of gzip's header
	if err := (raw{}).Unmarshal(cut, &body); err == nil {
		t.Errorf("response %q, want an error", body)
	}
}
