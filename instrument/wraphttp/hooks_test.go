package wraphttp_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
)

// dialer calls the hooks of a trace as a dial does, one second apart. After each call, it checks
// how many dials count as constructing.
type dialer struct {
	*httptrace.ClientTrace
	constructing func() int64
	t            *testing.T
}

// step calls hook and checks that the given number of dials then count as constructing.
func (d dialer) step(want int64, hook func()) {
	d.t.Helper()
	hook()
	if n := d.constructing(); n != want {
		d.t.Errorf("got %d constructing, want %d", n, want)
	}
	time.Sleep(time.Second)
}

func (d dialer) resolve(n int, err error, after int64) {
	d.t.Helper()
	d.step(1, func() { d.DNSStart(httptrace.DNSStartInfo{}) })
	d.step(after, func() { d.DNSDone(httptrace.DNSDoneInfo{Addrs: make([]net.IPAddr, n), Err: err}) })
}

func (d dialer) connect(err error, after int64) {
	d.t.Helper()
	d.step(1, func() { d.ConnectStart("tcp", "a") })
	d.step(after, func() { d.ConnectDone("tcp", "a", err) })
}

func (d dialer) handshake(err error, after int64) {
	d.t.Helper()
	d.step(1, d.TLSHandshakeStart)
	d.step(after, func() { d.TLSHandshakeDone(tls.ConnectionState{}, err) })
}

// Whatever its steps are, a dial counts as one dial, from its first step to its last. The request
// does not count as waiting during any of these steps.
func TestTransportFollowsDials(t *testing.T) {
	fresh := httptrace.GotConnInfo{}
	for name, c := range map[string]struct {
		url                  string
		callHooks            func(d dialer)
		err                  error
		dialTime, failedTime float64 // total duration of successful and of failed dials, in seconds
		created              int64
		failed               int64
		waited               float64 // seconds
	}{
		"address":           {"http://10.0.0.1/", func(d dialer) { d.GetConn("10.0.0.1:80"); d.connect(nil, 0); d.GotConn(fresh) }, nil, 1, 0, 1, 0, 0},
		"host name":         {"http://shop/", func(d dialer) { d.GetConn("shop:80"); d.resolve(1, nil, 1); d.connect(nil, 0); d.GotConn(fresh) }, nil, 3, 0, 1, 0, 0},
		"unknown host name": {"http://shop/", func(d dialer) { d.GetConn("shop:80"); d.resolve(0, errRefused, 0) }, errRefused, 0, 1, 0, 1, 0},
		"third address accepts": {"http://shop/", func(d dialer) {
			d.GetConn("shop:80")
			d.resolve(3, nil, 1)
			d.connect(errRefused, 1)
			d.connect(errRefused, 1)
			d.connect(nil, 0)
			d.GotConn(fresh)
		}, nil, 7, 0, 1, 0, 0},
		"no address accepts": {"http://shop/", func(d dialer) {
			d.GetConn("shop:80")
			d.resolve(2, nil, 1)
			d.connect(errRefused, 1)
			d.connect(errRefused, 0)
		}, errRefused, 0, 5, 0, 1, 0},
		"TLS":                  {"https://shop/", func(d dialer) { d.GetConn("shop:443"); d.connect(nil, 1); d.handshake(nil, 0); d.GotConn(fresh) }, nil, 3, 0, 1, 0, 0},
		"failed TLS handshake": {"https://shop/", func(d dialer) { d.GetConn("shop:443"); d.connect(nil, 1); d.handshake(errRefused, 0) }, errRefused, 0, 3, 0, 1, 0},
		"through a proxy": {"https://shop/", func(d dialer) {
			d.GetConn("proxy:80")
			d.connect(nil, 1)
			d.handshake(nil, 1)
			d.handshake(nil, 1)
			d.GotConn(fresh)
		}, nil, 6, 0, 1, 0, 0},
		"proxy refuses the request": {"https://shop/", func(d dialer) { d.GetConn("proxy:80"); d.connect(nil, 1) }, errRefused, 0, 2, 0, 1, 0},
		"another connection is used, and the dial continues": {"https://shop/", func(d dialer) {
			d.GetConn("shop:443")
			d.step(1, func() { d.ConnectStart("tcp", "a") })
			d.GotConn(httptrace.GotConnInfo{Reused: true})
			d.step(0, func() { d.ConnectDone("tcp", "a", nil) }) // the dial might not report anything else
			d.handshake(nil, 0)
		}, nil, 3, 0, 1, 0, 0},
		"another connection is used, between two steps": {"http://shop/", func(d dialer) {
			d.GetConn("shop:80")
			d.resolve(1, nil, 1)
			d.step(0, func() { d.GotConn(httptrace.GotConnInfo{Reused: true}) })
		}, nil, 0, 0, 0, 0, 0},
		"second dial after an unusable connection, with only the handshake reported": {"https://shop/", func(d dialer) {
			d.GetConn("shop:443")
			d.connect(nil, 1)
			d.handshake(nil, 0)
			d.GetConn("shop:443")
			time.Sleep(4 * time.Second)
			d.handshake(nil, 0)
			d.GotConn(fresh)
		}, nil, 4, 0, 2, 0, 4},
		"second dial after an unusable connection": {"https://shop/", func(d dialer) {
			d.GetConn("shop:443")
			d.connect(nil, 1)
			d.handshake(nil, 0)
			d.GetConn("shop:443")
			time.Sleep(4 * time.Second)
			d.connect(nil, 1)
			d.handshake(nil, 0)
			d.GotConn(fresh)
		}, nil, 6, 0, 2, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rt *wraphttp.RoundTripper
				var client *http.Client
				constructing := func() int64 { return rt.Stats().Usage[instrument.Constructing].Or(-1) }
				rt, client = mustWrap(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					c.callHooks(dialer{httptrace.ContextClientTrace(r.Context()), constructing, t})
					return answer(r, c.err)
				}))
				try(client, httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.url, http.NoBody))
				s := rt.Stats()
				checkIdle(t, s)
				if waited := s.Wait[instrument.Acquired].Sum(); waited != c.waited {
					t.Errorf("got waits of %v s in total, want %v s", waited, c.waited)
				}
				if count(s, instrument.Created, "") != c.created || s.Create[0].Duration.Sum() != c.dialTime {
					t.Errorf("got dials of %v s in total, want %d of %v s: %v",
						s.Create[0].Duration.Sum(), c.created, c.dialTime, s)
				}
				if count(s, instrument.CreateFailed, "error") != c.failed ||
					s.Create[1].Duration.Sum() != c.failedTime {
					t.Errorf("got failed dials of %v s in total, want %d of %v s: %v",
						s.Create[1].Duration.Sum(), c.failed, c.failedTime, s)
				}
			})
		})
	}
}
