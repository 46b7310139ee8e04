package wraphttp_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/poolgauge/poolgauge/instrument/wraphttp"
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
	accepted := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	want(t, points(t), map[string]float64{pool + "limit": 1, pool + "usage used": 1, pool + "requests acquired": 1})
	select {
	case <-accepted:
		t.Error("a second connection was accepted over the limit")
	default:
	}
	_ = first.Close()
	_ = first.Close() // counts once
	second := <-accepted
	want(t, points(t), map[string]float64{
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
	if got := points(t); len(got) > 0 {
		t.Errorf("after Close there are still %v", got)
	}
	_ = second.Close()
	if n := l.Stats().Usage[0].Or(-1); n != 0 {
		t.Errorf("%d open, want 0", n)
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
	got := points(t)
	want(t, got, map[string]float64{pool + "usage used": 3})
	if _, ok := got[pool+"limit"]; ok {
		t.Error("there is a limit")
	}
	if _, err := wraphttp.Listener("other", l, -1); err == nil {
		t.Error("a limit below 0 was accepted")
	}
}
