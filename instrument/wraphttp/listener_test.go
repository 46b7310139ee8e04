package wraphttp_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func listen(t *testing.T, limit int) *wraphttp.LimitedListener {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := wraphttp.Listener("front", tcp, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestListenerLimitsConnections(t *testing.T) {
	l := listen(t, 1)
	dial(t, l)
	dial(t, l)
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := first.(io.ReaderFrom); !ok {
		t.Errorf("%T does not implement io.ReaderFrom, which sendfile needs", first)
	}
	if _, ok := first.(interface{ CloseWrite() error }); !ok {
		t.Errorf("%T has no method CloseWrite", first)
	}
	wrapper, ok := first.(interface{ NetConn() net.Conn })
	if !ok {
		t.Fatalf("%T has no method NetConn", first)
	}
	if _, ok := wrapper.NetConn().(*net.TCPConn); !ok {
		t.Errorf("NetConn() returned a %T, want a *net.TCPConn", wrapper.NetConn())
	}
	accepted := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	pooltest.HasPoints(
		t,
		pooltest.Points(t),
		map[string]float64{pool + "limit": 1, pool + "usage used": 1, pool + "requests acquired": 1},
	)
	select {
	case <-accepted:
		t.Error("a second connection was accepted despite a limit of 1")
	default:
	}
	_ = first.Close()
	_ = first.Close() // must count only once
	second := <-accepted
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
		pool + "usage used": 1, pool + "requests acquired": 2, pool + "completed ok": 1, pool + "use.duration": 1,
	})
	blocked := make(chan error)
	go func() {
		_, err := l.Accept()
		blocked <- err
	}()
	_ = l.Close()
	if err := <-blocked; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept on a closed listener: got error %v, want net.ErrClosed", err)
	}
	if got := pooltest.Points(t); len(got) > 0 {
		t.Errorf("after Close: got points %v, want none", got)
	}
	_ = second.Close()
	if n := l.Stats().Usage[0].Or(-1); n != 0 {
		t.Errorf("got %d connections used, want 0", n)
	}
}

// hidingListener hides the types of its connections.
type hidingListener struct{ net.Listener }

func (l hidingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

func TestConnectionsOfAllTypesReturnTheirSlots(t *testing.T) {
	for name, c := range map[string]struct {
		network, address string
		hideType         bool
	}{
		"TCP":   {"tcp", "127.0.0.1:0", false},
		"Unix":  {"unix", filepath.Join(t.TempDir(), "s"), false},
		"other": {"tcp", "127.0.0.1:0", true},
	} {
		inner, err := net.Listen(c.network, c.address)
		if err != nil {
			t.Fatal(err)
		}
		if c.hideType {
			inner = hidingListener{inner}
		}
		l, err := wraphttp.Listener(name, inner, 2)
		if err != nil {
			t.Fatal(err)
		}
		dial(t, l)
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if used := l.Stats().Usage[instrument.Used].Or(-1); used != 1 {
			t.Errorf("%s: got %d used, want 1", name, used)
		}
		for range 2 { // the second Close does nothing
			_ = accepted.Close()
			if used := l.Stats().Usage[instrument.Used].Or(-1); used != 0 {
				t.Errorf("%s: got %d used after Close, want 0", name, used)
			}
		}
		_ = l.Close()
	}
}

func TestListenerWithoutLimit(t *testing.T) {
	l := listen(t, 0)
	for range 3 {
		dial(t, l)
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	got := pooltest.Points(t)
	pooltest.HasPoints(t, got, map[string]float64{pool + "usage used": 3})
	if _, ok := got[pool+"limit"]; ok {
		t.Error("a limit is reported for a listener without one")
	}
	if _, err := wraphttp.Listener("other", l, -1); err == nil {
		t.Error("a negative limit was accepted")
	}
	if _, err := wraphttp.Listener("other", nil, 1); err == nil {
		t.Error("a nil listener was accepted")
	}
}

// net/http recognizes TLS connections by their type, and serves HTTP/2 only on these. Therefore,
// TLS must be added to the wrapped listener.
func TestListenerRejectsTLSListener(t *testing.T) {
	l := listen(t, 0)
	if _, err := wraphttp.Listener(
		"tls",
		tls.NewListener(l, new(tls.Config)),
		0,
	); err == nil ||
		!strings.Contains(err.Error(), "tls.NewListener") {
		t.Errorf("got error %v, want one that mentions tls.NewListener", err)
	}
}

// failingListener fails as if it had run out of file descriptors.
type failingListener struct{ net.Listener }

var errTooManyFiles = errors.New("too many open files")

func (failingListener) Accept() (net.Conn, error) { return nil, errTooManyFiles }

// A failed Accept returns its slot, so it does not count toward the limit.
func TestFailedAcceptReturnsSlot(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := wraphttp.Listener("front", failingListener{tcp}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		if _, err := l.Accept(); !errors.Is(err, errTooManyFiles) {
			t.Fatal(err)
		}
	}
	pooltest.HasPoints(
		t,
		pooltest.Points(t),
		map[string]float64{pool + "limit": 1, pool + "usage used": 0, pool + "requests acquired": 0},
	)
}

// However many goroutines call Accept, the number of open connections never exceeds the limit.
func TestListenerEnforcesLimitUnderLoad(t *testing.T) {
	l := listen(t, 3)
	const connections = 200
	go func() {
		for range connections {
			c, err := net.Dial(l.Addr().Network(), l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Close()
		}
	}()
	in := pooltest.Invariants{}
	last := in.HoldUnder(t, l.Stats, func() {
		var left atomic.Int64
		left.Store(connections)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					c, err := l.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					runtime.Gosched()
					_ = c.Close()
				}
			})
		}
		wg.Wait()
	})
	if n := last.Completed[instrument.OK].Or(0); n != connections {
		t.Errorf("got %d connections completed, want %d", n, connections)
	}
}
