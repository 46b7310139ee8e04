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
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := wraphttp.Listener("front", bare, limit)
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

func TestListenerReportsAndLimits(t *testing.T) {
	l := listen(t, 1)
	dial(t, l)
	dial(t, l)
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := first.(io.ReaderFrom); !ok {
		t.Errorf("%T cannot use sendfile", first)
	}
	if _, ok := first.(interface{ CloseWrite() error }); !ok {
		t.Errorf("%T cannot be half closed", first)
	}
	below, ok := first.(interface{ NetConn() net.Conn })
	if !ok {
		t.Fatalf("%T does not say what is below", first)
	}
	if _, ok := below.NetConn().(*net.TCPConn); !ok {
		t.Errorf("below is a %T", below.NetConn())
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
		t.Error("a second connection was accepted over the limit")
	default:
	}
	_ = first.Close()
	_ = first.Close() // counts only once
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
		t.Errorf("Accept of a closed listener: %v", err)
	}
	if got := pooltest.Points(t); len(got) > 0 {
		t.Errorf("after Close there are still %v", got)
	}
	_ = second.Close()
	if n := l.Stats().Usage[0].Or(-1); n != 0 {
		t.Errorf("%d open, want 0", n)
	}
}

// plain hides the type of connections.
type plain struct{ net.Listener }

func (l plain) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

func TestConnectionsOfEveryKindReturnTheirSlots(t *testing.T) {
	for name, c := range map[string]struct {
		network, address string
		hidden           bool
	}{
		"TCP":   {"tcp", "127.0.0.1:0", false},
		"Unix":  {"unix", filepath.Join(t.TempDir(), "s"), false},
		"other": {"tcp", "127.0.0.1:0", true},
	} {
		bare, err := net.Listen(c.network, c.address)
		if err != nil {
			t.Fatal(err)
		}
		if c.hidden {
			bare = plain{bare}
		}
		l, err := wraphttp.Listener(name, bare, 2)
		if err != nil {
			t.Fatal(err)
		}
		dial(t, l)
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if used := l.Stats().Usage[instrument.Used].Or(-1); used != 1 {
			t.Errorf("%s: %d used, want 1", name, used)
		}
		for range 2 { // the second Close does nothing
			_ = accepted.Close()
			if used := l.Stats().Usage[instrument.Used].Or(-1); used != 0 {
				t.Errorf("%s: %d used after Close, want 0", name, used)
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
		t.Error("there is a limit")
	}
	if _, err := wraphttp.Listener("other", l, -1); err == nil {
		t.Error("a limit below 0 was accepted")
	}
	if _, err := wraphttp.Listener("other", nil, 1); err == nil {
		t.Error("no listener was accepted")
	}
}

// net/http recognizes a TLS connection by its type, and serves HTTP/2 only then. So the wrapper
// must be below TLS.
func TestListenerGoesBelowTLS(t *testing.T) {
	l := listen(t, 0)
	if _, err := wraphttp.Listener(
		"tls",
		tls.NewListener(l, new(tls.Config)),
		0,
	); err == nil ||
		!strings.Contains(err.Error(), "tls.NewListener") {
		t.Errorf("error %v, want one that says what to do", err)
	}
}

// failing is a listener that has run out of file descriptors.
type failing struct{ net.Listener }

var errNoFiles = errors.New("too many open files")

func (failing) Accept() (net.Conn, error) { return nil, errNoFiles }

// A failed Accept takes no slot, so it does not count toward the limit.
func TestListenerKeepsNoSlotOfWhatFailed(t *testing.T) {
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := wraphttp.Listener("front", failing{bare}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		if _, err := l.Accept(); !errors.Is(err, errNoFiles) {
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
func TestListenerHoldsTheLimitUnderLoad(t *testing.T) {
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
		t.Errorf("%d connections, want %d", n, connections)
	}
}
