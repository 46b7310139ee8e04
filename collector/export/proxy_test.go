package export

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy forwards data until a test breaks its connections.
type proxy struct {
	addr string

	mu    sync.Mutex
	pairs [][2]net.Conn
	deaf  bool // new data on existing connections is discarded
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l := listen(t, "")
	p := &proxy{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			n := len(p.pairs)
			p.pairs = append(p.pairs, [2]net.Conn{in, out})
			p.deaf = false
			p.mu.Unlock()
			wg.Go(func() { p.pass(n, in, out) })
			wg.Go(func() { p.pass(n, out, in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.reset()
		wg.Wait()
	})
	return p
}

// pass copies data of connection n until one end is closed. It discards data if halfOpen was
// called, or a newer connection was made, after connection n.
func (p *proxy) pass(n int, from io.ReadCloser, to io.WriteCloser) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		read, err := from.Read(buffer)
		p.mu.Lock()
		lost := p.deaf && n == len(p.pairs)-1 || n < len(p.pairs)-1
		p.mu.Unlock()
		if read > 0 && !lost {
			_, _ = to.Write(buffer[:read])
		}
		if err != nil {
			return
		}
	}
}

// halfOpen keeps existing connections open but discards their data. The next connection works.
func (p *proxy) halfOpen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

// reset breaks all connections as a crashed host does.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pair := range p.pairs {
		for _, c := range pair {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	}
}

// connections returns how many connections were made.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pairs)
}

// testBrokenConnections breaks the connections of c, a client that sends through p, in several
// ways.
func testBrokenConnections(t *testing.T, p *proxy, c Client, timeout string) {
	t.Helper()
	mustSend(t, c, metrics("1"))
	mustSend(t, c, metrics("2"))
	equal(t, "connections", p.connections(), 1)

	p.halfOpen()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	f := mustFail(t, ctx, c, metrics("3"))
	if !retryable(f) || f.Reason != timeout {
		t.Errorf("half-open connection: got %+v, want reason %s, retryable", f, timeout)
	}
	mustSend(t, c, metrics("3")) // on a new connection
	equal(t, "connections", p.connections(), 2)

	p.reset()
	for i := 0; ; i++ { // the client may or may not have noticed yet
		_, err := c.Send(context.Background(), requestOf(metrics("4")))
		if err == nil {
			break
		}
		var f *Failure
		if !errors.As(err, &f) || !retryable(f) || i > 2 {
			t.Fatalf("reset connection, attempt %d: error %v, want success or a retryable failure", i, err)
		}
	}
	equal(t, "connections", p.connections(), 3)
}

func TestGRPCBrokenConnections(t *testing.T) {
	s := serveGRPC(t, listen(t, ""), grpcOK)
	p := newProxy(t, s.addr)
	testBrokenConnections(t, p, dial(t, Config{Protocol: GRPC, URL: "http://" + p.addr}), "DEADLINE_EXCEEDED")
}
