package e2e

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

const (
	metricsMethod = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
	tracesMethod  = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	logsMethod    = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
)

// sink is an upstream that sees the bytes of each request, remembers which numbers arrived how
// often and in what order, and may do to a request whatever an upstream may.
type sink struct {
	t      *testing.T
	fault  atomic.Pointer[fault] // nil: everything is taken
	server *grpc.Server
	conns  *connections
	blind  bool // only the fault looks into requests

	mu       sync.Mutex // guards what follows
	taken    []delivery
	arrived  map[int64]int // how often, by number
	order    []int64       // of first arrivals
	accounts []account     // that the sidecar gave, in the order of arrival
	changed  chan struct{} // closed and replaced when a request is taken
}

// fault answers a request: it is taken if err is nil.
type fault func(ctx context.Context, d delivery) (answer []byte, err error)

// delivery is one request.
type delivery struct {
	conn, method string
	data         []byte  // forgotten when a request of metrics is taken
	batches      int     // resources: the sidecar joins batches to one request
	size         int     // bytes
	points       int     // of metrics
	seqs         []int64 // the numbers in it
}

func newSink(t *testing.T) *sink {
	return &sink{t: t, conns: &connections{}, arrived: map[int64]int{}, changed: make(chan struct{})}
}

// listen begins to serve at addr, which may be one with port 0, and returns where.
func (s *sink) listen(addr string) string {
	s.t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.conns = &connections{Listener: l}
	s.server = grpc.NewServer(grpc.ForceServerCodecV2(bytesCodec{}), grpc.UnknownServiceHandler(s.handle))
	server := s.server
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(s.conns) // ends with the test
	}()
	s.t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return l.Addr().String()
}

func (s *sink) handle(_ any, stream grpc.ServerStream) error {
	var data []byte
	if err := stream.RecvMsg(&data); err != nil {
		return err
	}
	method, _ := grpc.MethodFromServerStream(stream)
	from, _ := peer.FromContext(stream.Context())
	d, accounts := s.read(delivery{conn: from.Addr.String(), method: method, data: data, size: len(data)})
	var answer []byte
	if f := s.fault.Load(); f != nil {
		var err error
		if answer, err = (*f)(stream.Context(), d); err != nil {
			return err
		}
	}
	s.take(d, accounts)
	return stream.SendMsg(answer)
}

// read reads what d has of metrics: numbers, and the sidecar's accounts.
func (s *sink) read(d delivery) (delivery, []account) {
	if d.method != metricsMethod || s.blind {
		return d, nil
	}
	r := &colmetricpb.ExportMetricsServiceRequest{}
	if err := proto.Unmarshal(d.data, r); err != nil {
		s.t.Errorf("a request that is none: %v", err)
		return d, nil
	}
	d.points, d.batches = otlptest.Count(r), len(r.GetResourceMetrics())
	var accounts []account
	for _, batch := range r.GetResourceMetrics() {
		if seq, ok := s.sequence(batch); ok {
			d.seqs = append(d.seqs, seq)
			continue
		}
		one := &otlptest.Request{ResourceMetrics: []*metricpb.ResourceMetrics{batch}}
		if a, ok := accountOf(slices.Collect(otlptest.Points(one))); ok {
			accounts = append(accounts, a)
		}
	}
	return d, accounts
}

// sequence returns the number of a batch of an app, whose points must all be there, by number and
// by time.
func (s *sink) sequence(batch *metricpb.ResourceMetrics) (seq int64, ok bool) {
	first := batch.GetScopeMetrics()[0].GetMetrics()[0]
	if first.GetName() != sequenceMetric {
		return 0, false
	}
	points := first.GetGauge().GetDataPoints()
	seq = points[0].GetAsInt()
	if len(points) != pointsPerRequest {
		s.t.Errorf("request %d arrived with %d points, want %d", seq, len(points), pointsPerRequest)
	}
	for i, p := range points {
		if at := epoch + seq*pointsPerRequest + int64(i); p.GetAsInt() != seq || p.GetTimeUnixNano() != uint64(at) {
			s.t.Errorf(
				"point %d of request %d has number %d and time %d, want time %d",
				i,
				seq,
				p.GetAsInt(),
				p.GetTimeUnixNano(),
				at,
			)
		}
	}
	return seq, true
}

func (s *sink) take(d delivery, accounts []account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.method == metricsMethod && len(d.seqs) > 0 || s.blind {
		d.data = nil
	}
	s.taken = append(s.taken, d)
	for _, seq := range d.seqs {
		if s.arrived[seq]++; s.arrived[seq] == 1 {
			s.order = append(s.order, seq)
		}
	}
	s.accounts = append(s.accounts, accounts...)
	close(s.changed)
	s.changed = make(chan struct{})
}

// outlasting is how long a test waits for a sidecar that may have begun its longest wait between
// attempts.
const outlasting = patience + time.Minute

// await waits until enough, which is called with s.mu held, is true, as long as numbers arrive.
func (s *sink) await(what string, enough func() bool) {
	s.t.Helper()
	deadline, before := time.After(outlasting), 0
	for {
		s.mu.Lock()
		done, changed, n := enough(), s.changed, len(s.order)
		s.mu.Unlock()
		if done {
			return
		}
		if n > before {
			deadline, before = time.After(outlasting), n
		}
		select {
		case <-changed:
		case <-deadline:
			s.t.Fatalf("%s did not come; %d numbers arrived", what, n)
		}
	}
}

// awaitAll waits until every number of seqs has arrived.
func (s *sink) awaitAll(seqs []int64) {
	s.t.Helper()
	s.await("what was acknowledged", func() bool {
		return !slices.ContainsFunc(seqs, func(seq int64) bool { return s.arrived[seq] == 0 })
	})
}

// awaitAccount waits for an account that satisfies enough, and returns it.
func (s *sink) awaitAccount(what string, enough func(account) bool) account {
	s.t.Helper()
	var found account
	s.await("an account "+what, func() bool {
		i := slices.IndexFunc(s.accounts, enough)
		if i >= 0 {
			found = s.accounts[i]
		}
		return i >= 0
	})
	return found
}

// checkOnceInOrder checks that what arrived did so once, in the order in which it was sent.
func (s *sink) checkOnceInOrder() {
	s.t.Helper()
	s.checkOnce()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.IsSorted(s.order) {
		s.t.Error("requests did not arrive in the order in which they were acknowledged")
	}
}

// checkOnce checks that nothing arrived twice.
func (s *sink) checkOnce() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq, n := range s.arrived {
		if n != 1 {
			s.t.Errorf("request %d arrived %d times", seq, n)
		}
	}
}

// checkAccounts checks that every point has become something, at each collection.
func (s *sink) checkAccounts() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.accounts) == 0 {
		s.t.Error("no account arrived")
	}
	for i, a := range s.accounts {
		if a.accepted+a.recovered != a.sent+a.rejected+a.dropped+a.queued {
			s.t.Errorf("account %d: accepted + recovered is not sent + rejected + dropped + queued: %+v", i, a)
		}
	}
}

// account is what the sidecar says of metrics in one collection.
type account struct {
	life    time.Time // when this sidecar began
	at      time.Time
	reasons map[string]int // of what was refused, rejected or dropped
	durable float64        // -1 if it does not say

	accepted, recovered, resent, sent, rejected, dropped, refused, queued int
}

func accountOf(points []otlptest.Point) (account, bool) {
	all := find(points, "poolgauge.relay.points", "poolgauge.relay.lane", "metrics")
	if len(all) == 0 {
		return account{}, false
	}
	a := account{life: all[0].Start, at: all[0].Time, durable: -1, reasons: map[string]int{}}
	for _, p := range all {
		if reason := p.Attributes["poolgauge.point.reason"]; reason != "" {
			a.reasons[p.Attributes["poolgauge.point.outcome"]+" "+reason] += int(p.Value)
		}
	}
	for name, to := range map[string]*int{
		"accepted": &a.accepted, "recovered": &a.recovered, "resent": &a.resent, "sent": &a.sent,
		"rejected": &a.rejected, "dropped": &a.dropped, "refused": &a.refused,
	} {
		*to = outcomeOf(points, "metrics", name)
	}
	for _, p := range find(points, "poolgauge.relay.queue.points", "poolgauge.relay.lane", "metrics") {
		a.queued = int(p.Value)
	}
	for _, p := range find(points, "poolgauge.relay.queue.durable") {
		a.durable = p.Value
	}
	return a, true
}

// connections is a listener that can cut what it accepted.
type connections struct {
	net.Listener
	mu       sync.Mutex // guards what follows
	open     []net.Conn
	accepted int
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, conn)
	c.accepted++
	return numbered{conn, number(c.accepted)}, nil
}

// numbered is a connection whose address is its number: the system gives ports out again.
type numbered struct {
	net.Conn
	number
}

// RemoteAddr implements net.Conn.
func (n numbered) RemoteAddr() net.Addr { return n.number }

type number int

// Network implements net.Addr.
func (number) Network() string { return "number" }

// String implements net.Addr.
func (n number) String() string { return strconv.Itoa(int(n)) }

// reset ends the connection with an address without a goodbye.
func (c *connections) reset(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := strconv.Atoi(address) // as numbered
	conn := c.open[n-1]
	_ = conn.(*net.TCPConn).SetLinger(0) // or it is closed already
	_ = conn.Close()
}

// bytesCodec passes messages as they are on the wire.
type bytesCodec struct{}

// Marshal implements encoding.CodecV2.
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = bytes.Clone(data.Materialize())
	return nil
}

// Name implements encoding.CodecV2.
func (bytesCodec) Name() string { return "proto" }
