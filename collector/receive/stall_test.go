package receive

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// stalledStreams begins n exports on conn whose messages never arrive, and returns their streams.
func stalledStreams(t *testing.T, conn *grpc.ClientConn, n int) (all []grpc.ClientStream) {
	t.Helper()
	for range n {
		stream, err := conn.NewStream(
			t.Context(),
			&grpc.StreamDesc{ClientStreams: true},
			otlp.Metrics.Method(),
			grpc.ForceCodecV2(rawCodec{}),
		)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stream)
	}
	return all
}

// Exports whose messages never arrive do not affect other clients.
func TestStalledStreamsDoNotAffectOthers(t *testing.T) {
	b := start(t, nil)
	stalledStreams(t, dial(t, b.GRPCAddr().String()), 50)
	other := dial(t, b.GRPCAddr().String())
	if s, _ := export(t.Context(), other, otlp.Metrics, metrics(t, 10)); s.Code() != codes.OK {
		t.Errorf("another client: got %v, want OK", s)
	}
}

// Exports whose messages never arrive are aborted when the time limit is reached.
func TestStalledStreamsAreAborted(t *testing.T) {
	b := start(t, func(_ *Config, l *limits) { l.read = 300 * time.Millisecond })
	stalled := stalledStreams(t, dial(t, b.GRPCAddr().String()), 50)
	for _, stream := range stalled {
		if err := stream.RecvMsg(&message{}); err == nil {
			t.Fatal("a stalled export succeeded")
		}
	}
	for range stalled {
		if got := <-b.refused; got != (refused{otlp.Metrics, 0, Slow}) {
			t.Fatalf("got refusal %v, want metrics, 0 points, slow", got)
		}
	}
	if held := b.gate.held.Load(); held != 0 {
		t.Errorf("%d bytes count as held, want 0", held)
	}
}

// halfSent sends the header and half of the body of a request with a body of size bytes.
func halfSent(t *testing.T, b *testServer, size int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", b.HTTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	head := "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: " + strconv.Itoa(
		size,
	) + "\r\n\r\n"
	if _, err := io.WriteString(conn, head+strings.Repeat("x", size/2)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Above the limit, stalled bodies are aborted one after the other, and other requests are accepted.
func TestStalledBodiesAboveTheLimit(t *testing.T) {
	b := start(t, func(_ *Config, l *limits) { l.arriving, l.message = 100_000, 1<<20 })
	for range 4 {
		halfSent(t, b, 100_000)
	}
	conn := dial(t, b.GRPCAddr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 3 {
		if s, _ := export(ctx, conn, otlp.Metrics, metrics(t, 1000)); s.Code() != codes.OK {
			t.Fatalf("another client: got %v, want OK", s)
		}
	}
}

// Many large requests at the same time are all accepted, although only some of them are in memory
// at any time.
func TestManyLargeRequestsAtOnce(t *testing.T) {
	b := start(t, func(_ *Config, l *limits) { l.arriving, l.waiting = 1<<20, 1<<30 })
	data := metrics(t, 10_000)
	results := make(chan codes.Code)
	for range 16 {
		conn := dial(t, b.GRPCAddr().String())
		go func() {
			s, _ := export(context.Background(), conn, otlp.Metrics, data)
			results <- s.Code()
		}()
	}
	for range 16 {
		if code := <-results; code != codes.OK {
			t.Error(code)
		}
	}
	if held := b.gate.held.Load(); held != 0 {
		t.Errorf("%d bytes count as held, want 0", held)
	}
}

// When there are too many connections, the one idle the longest is closed, and a new client is
// always accepted.
func TestLongestIdleConnectionIsClosed(t *testing.T) {
	b := start(t, func(c *Config, _ *limits) { c.Connections = 3 })
	useful := dial(t, b.GRPCAddr().String())
	send := func(conn *grpc.ClientConn) {
		t.Helper()
		if s, _ := export(t.Context(), conn, otlp.Logs, record, grpc.WaitForReady(true)); s.Code() != codes.OK {
			t.Fatal(s)
		}
	}
	send(useful)
	var idle []net.Conn
	for range 10 {
		conn, err := net.Dial("tcp", b.GRPCAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		idle = append(idle, conn)
		send(useful) // so that it is never the one idle the longest
	}
	if _, err := io.Copy(io.Discard, idle[0]); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	send(dial(t, b.GRPCAddr().String()))
	if _, closed := b.Connections(); closed < 8 {
		t.Errorf("%d connections count as closed, want at least 8", closed)
	}
}

// A body that is refused early is still read to its end, so that the client gets the response
// instead of a connection reset.
func TestTooLargeBodyIsAnswered(t *testing.T) {
	b := start(t, nil)
	conn, err := net.Dial("tcp", b.HTTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 20 << 20
	if _, err := io.WriteString(
		conn,
		"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: "+strconv.Itoa(
			size,
		)+"\r\n\r\n",
	); err != nil {
		t.Fatal(err)
	}
	// send everything before reading the response, as some clients do
	if _, err := io.CopyN(conn, zeros{}, size); err != nil {
		t.Fatalf("sending the body: %v", err)
	}
	status := make([]byte, 12)
	if _, err := io.ReadFull(conn, status); err != nil || string(status) != "HTTP/1.1 413" {
		t.Errorf("got %q, %v, want status 413", status, err)
	}
	b.checkRefused(t, refused{otlp.Logs, 0, TooLarge})
}

// The length of a chunked body is known only at its end. A body above the limit is refused all the
// same.
func TestChunkedBodyAboveTheLimitIsRefused(t *testing.T) {
	b := start(t, func(_ *Config, l *limits) { l.message = 10_000 })
	for _, size := range []int{10_001, 1 << 20} {
		chunked := io.MultiReader(bytes.NewReader(make([]byte, size)))
		r, _ := b.request(t, http.MethodPost, "/v1/logs", chunked, "Content-Type", "application/x-protobuf")
		if r.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d bytes: got status %s, want 413", size, r.Status)
		}
		b.checkRefused(t, refused{otlp.Logs, 0, TooLarge})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// While a complete large request waits to be processed, no other request is read. Once the large
// request is being accepted, the next one is read.
func TestLargeRequestsAreReadOneAfterTheOther(t *testing.T) {
	g := newGate(defaultLimits)
	of := &connections{gate: g}
	c := &conn{listener: of}
	first := c.begin(func(error) {})
	c.pending = 4_000_000
	g.add(c.pending)
	defer first.complete(4_000_000)()
	next := &conn{listener: of}
	defer next.begin(func(error) {}).abandon()
	if may, _, _ := g.mayRead(next); may {
		t.Error("another request is read while a large one waits to be processed")
	}
	done, refusal := g.admit(t.Context(), otlp.Metrics, 4_000_000)
	if refusal != nil {
		t.Fatal(refusal)
	}
	defer done()
	first.release()
	if may, _, _ := g.mayRead(next); !may {
		t.Error("another request is not read although the large one is being accepted")
	}
}
