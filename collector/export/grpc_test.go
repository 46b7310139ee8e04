package export

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// dialServer returns a client of s, all signals to one URL.
func dialServer(t testing.TB, s *grpcServer) Client {
	t.Helper()
	return dial(t, Config{Protocol: GRPC, Endpoints: everywhere("http://" + s.addr)})
}

func TestGRPCSendsBytesAsTheyAre(t *testing.T) {
	data := bytes.Repeat([]byte("\xfa\x3f\x03any"), 50_000) // unknown to everyone
	for _, gzip := range []bool{false, true} {
		s := serveGRPC(t, listen(t, ""), yes)
		url := "http://" + s.addr
		c := dial(t, Config{Protocol: GRPC, Gzip: gzip, UserAgent: "poolgauge-sidecar/9", Endpoints: map[otlp.Signal]Endpoint{
			otlp.Metrics: {url, map[string]string{"Tenant": "m"}}, otlp.Traces: {url, map[string]string{"tenant": "t"}}, otlp.Logs: {URL: url},
		}})
		for _, signal := range otlp.Signals() {
			equal(t, "result", mustSend(t, c, otlp.Batch{Signal: signal, Points: 1, Data: data}), Result{})
		}
		want := []received{
			{to: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", header: map[string][]string{"tenant": {"m"}}},
			{to: "/opentelemetry.proto.collector.trace.v1.TraceService/Export", header: map[string][]string{"tenant": {"t"}}},
			{to: "/opentelemetry.proto.collector.logs.v1.LogsService/Export"},
		}
		for i, got := range s.requests() {
			equal(t, "method", got.to, want[i].to)
			equal(t, "tenant", strings.Join(got.header["tenant"], ","), strings.Join(want[i].header["tenant"], ","))
			equal(t, "type", got.header["content-type"][0], "application/grpc+proto")
			equal(t, "user agent", strings.HasPrefix(got.header["user-agent"][0], "poolgauge-sidecar/9"), true)
			equal(t, "data survives", bytes.Equal(got.body, data), true)
		}
		equal(t, "requests", len(s.requests()), 3)
		equal(t, "one connection for all", len(c.(*grpcClient).conns), 1)
	}
}

func TestGRPCUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otlp.sock")
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := serveGRPC(t, l, yes)
	mustSend(t, dial(t, Config{Protocol: GRPC, Endpoints: everywhere("unix://" + path)}), metrics("x"))
	equal(t, "requests", len(s.requests()), 1)
}

// Every status is retried or not as the specification says, and no other.
func TestGRPCStatuses(t *testing.T) {
	passing := map[codes.Code]bool{
		codes.Canceled: true, codes.DeadlineExceeded: true, codes.Aborted: true, codes.OutOfRange: true, codes.Unavailable: true, codes.DataLoss: true,
	}
	names := strings.Fields(`OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED
		FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED`)
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
			retry := passing[code] || code == codes.ResourceExhausted && hint != -1
			var after time.Duration
			if retry {
				after = min(max(hint, 0), 5*time.Minute)
			}
			if f.Reason != names[code] || f.Retry != retry || f.After != after || !strings.Contains(f.Error(), "because") {
				t.Errorf("%v with hint %v: %+v", code, hint, f)
			}
		}
	}
}

// However many numbers an upstream makes up, they are one reason.
func TestGRPCStatusWithoutName(t *testing.T) {
	s := serveGRPC(t, listen(t, ""), func(context.Context, int) ([]byte, error) { return nil, status.Error(4711, "what") })
	f := mustFail(t, context.Background(), dialServer(t, s), metrics("x"))
	if f.Reason != "UNKNOWN" || f.Retry {
		t.Errorf("%+v", f)
	}
}

func TestGRPCAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		want Result
	}{
		"nothing":        {nil, Result{}},
		"partial":        {partial(t, 2, "too old"), Result{2, "too old"}},
		"only a message": {partial(t, 0, "deprecated"), Result{0, "deprecated"}},
		"negative":       {partial(t, -2, ""), Result{}},
		"not OTLP":       {[]byte("\xff\xff"), Result{0, "the answer is not OTLP"}},
	} {
		s := serveGRPC(t, listen(t, ""), func(context.Context, int) ([]byte, error) { return c.body, nil })
		equal(t, name, mustSend(t, dialServer(t, s), metrics("x")), c.want)
	}
}

// As soon as the upstream is back the next request reaches it: gRPC's own wait between connections, which grows to minutes, does not count.
func TestGRPCUpstreamComesBack(t *testing.T) {
	l := listen(t, "")
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, Config{Protocol: GRPC, Endpoints: everywhere("http://" + addr)})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 8 {
		f := mustFail(t, ctx, c, metrics("x"))
		if !f.Retry || f.Reason != "UNAVAILABLE" || !strings.Contains(f.Error(), "refused") {
			t.Fatalf("%+v", f)
		}
	}
	serveGRPC(t, listen(t, addr), yes)
	if _, err := c.Send(ctx, metrics("x")); err != nil {
		t.Error(err)
	}
}

// Answers that are failures keep the connection.
func TestGRPCConnectionIsKept(t *testing.T) {
	s := serveGRPC(t, listen(t, ""), func(context.Context, int) ([]byte, error) { return nil, status.Error(codes.Unavailable, "busy") })
	c := dialServer(t, s)
	conn := c.(*grpcClient).signals[otlp.Logs].conn
	first := conn.ClientConn
	for range 3 {
		_ = mustFail(t, context.Background(), c, metrics("x"))
	}
	equal(t, "connection", conn.ClientConn, first)
}

func TestDialErrors(t *testing.T) {
	for _, c := range []struct{ want, protocol, url string }{
		{`protocol: expected grpc or http/protobuf, got "http/json"`, "http/json", "http://h:1"},
		{`expected a URL of http, https or unix, got "ftp://h:1"`, GRPC, "ftp://h:1"},
		{`expected a URL of http or https for http/protobuf, got "unix:///s"`, HTTPProtobuf, "unix:///s"},
		{`expected a URL of http or https for http/protobuf, got "http:///v1"`, HTTPProtobuf, "http:///v1"},
		{"missing protocol scheme", GRPC, ":x"},
	} {
		if _, err := Dial(Config{Protocol: c.protocol, Endpoints: everywhere(c.url)}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
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
			t.Errorf("%s: %s %v %v", url, got, secure, err)
		}
	}
}

// A signal that has nowhere to go is refused, by name.
func TestNoEndpoint(t *testing.T) {
	for _, protocol := range []string{GRPC, HTTPProtobuf} {
		c := dial(t, Config{Protocol: protocol, Endpoints: map[otlp.Signal]Endpoint{otlp.Metrics: {URL: "http://127.0.0.1:9/v1/metrics"}}})
		f := mustFail(t, context.Background(), c, otlp.Batch{Signal: otlp.Traces})
		if f.Retry || f.Reason != "request" || !strings.Contains(f.Error(), "traces") {
			t.Errorf("%+v", f)
		}
	}
}
