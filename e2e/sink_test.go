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

// sink is an upstream that reads the bytes of each request, and records how often and in what order
// the requests' numbers arrived. A fault may decide its responses.
type sink struct {
	t      *testing.T
	fault  atomic.Pointer[fault] // nil: everything is accepted
	server *grpc.Server
	conns  *connections
	blind  bool // only the fault reads requests

	mu       sync.Mutex // guards the fields below
	taken    []delivery
	arrived  map[int64]int // how often, by number
	order    []int64       // of first arrivals
	accounts []account     // from the sidecar, in the order of arrival
	changed  chan struct{} // closed and replaced when a request is accepted
}

// fault answers a request. The request is accepted if err is nil.
type fault func(ctx context.Context, d delivery) (answer []byte, err error)

// delivery is one request.
type delivery struct {
	conn, method string
	data         []byte  // nil after a request of metrics is accepted
	batches      int     // number of resources: the sidecar joins batches in one request
	size         int     // bytes
	points       int     // of metrics
	seqs         []int64 // the numbers in it
}

func newSink(t *testing.T) *sink {
	return &sink{t: t, conns: &connections{}, arrived: map[int64]int{}, changed: make(chan struct{})}
}

// listen starts to serve at addr, whose port may be 0, and returns the address.
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
		_ = server.Serve(s.conns) // until the test ends
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

// read decodes the metrics of d: the numbers and the sidecar's accounts.
func (s *sink) read(d delivery) (delivery, []account) {
	if d.method != metricsMethod || s.blind {
		return d, nil
	}
	r := &colmetricpb.ExportMetricsServiceRequest{}
	if err := proto.Unmarshal(d.data, r); err != nil {
		s.t.Errorf("decoding a metrics request: %v", err)
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

// sequence returns the number of a batch that an app sent. It checks that all points are present,
// with the right number and time.
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

// retryPatience is how long a test waits for a sidecar that may be in its longest wait between
// attempts.
const retryPatience = patience + time.Minute

// await waits until condition, which it calls with s.mu held, returns true. It fails the test if no
// more numbers arrive.
func (s *sink) await(what string, condition func() bool) {
	s.t.Helper()
	deadline, before := time.After(retryPatience), 0
	for {
		s.mu.Lock()
		done, changed, n := condition(), s.changed, len(s.order)
		s.mu.Unlock()
		if done {
			return
		}
		if n > before {
			deadline, before = time.After(retryPatience), n
		}
		select {
		case <-changed:
		case <-deadline:
			s.t.Fatalf("%s did not arrive; %d numbers did", what, n)
		}
	}
}

// awaitAll waits until every number in seqs has arrived.
func (s *sink) awaitAll(seqs []int64) {
	s.t.Helper()
	s.await("all acknowledged requests", func() bool {
		return !slices.ContainsFunc(seqs, func(seq int64) bool { return s.arrived[seq] == 0 })
	})
}

// awaitAccount waits for an account for which condition returns true, and returns it.
func (s *sink) awaitAccount(what string, condition func(account) bool) account {
	s.t.Helper()
	var found account
	s.await("an account "+what, func() bool {
		i := slices.IndexFunc(s.accounts, condition)
		if i >= 0 {
			found = s.accounts[i]
		}
		return i >= 0
	})
	return found
}

// checkOnceInOrder checks that requests arrived once, in the order in which they were sent.
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
			s.t.Errorf("request %d arrived %d times, want once", seq, n)
		}
	}
}

// checkAccounts checks that each collection accounts for every point.
func (s *sink) checkAccounts() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.accounts) == 0 {
		s.t.Error("no account of the sidecar's points arrived")
	}
	for i, a := range s.accounts {
		if a.accepted+a.recovered != a.sent+a.rejected+a.dropped+a.queued {
			s.t.Errorf("account %d: accepted + recovered is not sent + rejected + dropped + queued: %+v", i, a)
		}
	}
}

// account holds the sidecar's counts of metric points in one collection.
type account struct {
	start   time.Time // when the sidecar started
	at      time.Time
	reasons map[string]int // of points refused, rejected or dropped
	durable float64        // -1 if absent

	accepted, recovered, resent, sent, rejected, dropped, refused, queued int
}

func accountOf(points []otlptest.Point) (account, bool) {
	all := find(points, "poolgauge.relay.points", "poolgauge.relay.lane", "metrics")
	if len(all) == 0 {
		return account{}, false
	}
	a := account{start: all[0].Start, at: all[0].Time, durable: -1, reasons: map[string]int{}}
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

// connections is a listener that can reset the connections that it accepted.
type connections struct {
	net.Listener
	mu       sync.Mutex // guards the fields below
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

// numbered is a connection whose address is its number, since the system reuses ports.
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

// reset closes the connection with the given address with a TCP reset.
func (c *connections) reset(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := strconv.Atoi(address) // see number
	conn := c.open[n-1]
	_ = conn.(*net.TCPConn).SetLinger(0) // fails if it is already closed
	_ = conn.Close()
}

// bytesCodec passes encoded messages through unchanged.
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
