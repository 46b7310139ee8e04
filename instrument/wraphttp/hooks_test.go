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

// dialer calls the hooks of a trace as a dial does, one second per step, and checks which
// connections are under construction after each step.
type dialer struct {
	*httptrace.ClientTrace
	constructing func() int64
	t            *testing.T
}

func (d dialer) step(want int64, tell func()) {
	d.t.Helper()
	tell()
	if n := d.constructing(); n != want {
		d.t.Errorf("%d constructing, want %d", n, want)
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

func (d dialer) shake(err error, after int64) {
	d.t.Helper()
	d.step(1, d.TLSHandshakeStart)
	d.step(after, func() { d.TLSHandshakeDone(tls.ConnectionState{}, err) })
}

// Whatever its steps are, a dial counts as a single one from its first step to its last. The
// request does not wait during any of these steps.
func TestTransportFollowsDials(t *testing.T) {
	fresh := httptrace.GotConnInfo{}
	for name, c := range map[string]struct {
		url          string
		told         func(d dialer)
		err          error
		made, unmade float64 // seconds of one dial, or of all dials
		created      int64
		failed       int64
		waited       float64
	}{
		"an address":   {"http://10.0.0.1/", func(d dialer) { d.GetConn("10.0.0.1:80"); d.connect(nil, 0); d.GotConn(fresh) }, nil, 1, 0, 1, 0, 0},
		"a name":       {"http://shop/", func(d dialer) { d.GetConn("shop:80"); d.resolve(1, nil, 1); d.connect(nil, 0); d.GotConn(fresh) }, nil, 3, 0, 1, 0, 0},
		"no such name": {"http://shop/", func(d dialer) { d.GetConn("shop:80"); d.resolve(0, errRefused, 0) }, errRefused, 0, 1, 0, 1, 0},
		"the third address": {"http://shop/", func(d dialer) {
			d.GetConn("shop:80")
			d.resolve(3, nil, 1)
			d.connect(errRefused, 1)
			d.connect(errRefused, 1)
			d.connect(nil, 0)
			d.GotConn(fresh)
		}, nil, 7, 0, 1, 0, 0},
		"no address": {"http://shop/", func(d dialer) {
			d.GetConn("shop:80")
			d.resolve(2, nil, 1)
			d.connect(errRefused, 1)
			d.connect(errRefused, 0)
		}, errRefused, 0, 5, 0, 1, 0},
		"TLS":    {"https://shop/", func(d dialer) { d.GetConn("shop:443"); d.connect(nil, 1); d.shake(nil, 0); d.GotConn(fresh) }, nil, 3, 0, 1, 0, 0},
		"no TLS": {"https://shop/", func(d dialer) { d.GetConn("shop:443"); d.connect(nil, 1); d.shake(errRefused, 0) }, errRefused, 0, 3, 0, 1, 0},
		"through a proxy": {"https://shop/", func(d dialer) {
			d.GetConn("proxy:80")
			d.connect(nil, 1)
			d.shake(nil, 1)
			d.shake(nil, 1)
			d.GotConn(fresh)
		}, nil, 6, 0, 1, 0, 0},
		"proxy refuses": {"https://shop/", func(d dialer) { d.GetConn("proxy:80"); d.connect(nil, 1) }, errRefused, 0, 2, 0, 1, 0},
		"another is there first, and the dial goes on": {"https://shop/", func(d dialer) {
			d.GetConn("shop:443")
			d.step(1, func() { d.ConnectStart("tcp", "a") })
			d.GotConn(httptrace.GotConnInfo{Reused: true})
			d.step(0, func() { d.ConnectDone("tcp", "a", nil) }) // the dial may never report anything else
			d.shake(nil, 0)
		}, nil, 3, 0, 1, 0, 0},
		"another is there first, between two steps": {"http://shop/", func(d dialer) {
			d.GetConn("shop:80")
			d.resolve(1, nil, 1)
			d.step(0, func() { d.GotConn(httptrace.GotConnInfo{Reused: true}) })
		}, nil, 0, 0, 0, 0, 0},
		"that was of no use, and another of which the handshake alone is told": {"https://shop/", func(d dialer) {
			d.GetConn("shop:443")
			d.connect(nil, 1)
			d.shake(nil, 0)
			d.GetConn("shop:443")
			time.Sleep(4 * time.Second)
			d.shake(nil, 0)
			d.GotConn(fresh)
		}, nil, 4, 0, 2, 0, 4},
		"that was of no use, and another": {"https://shop/", func(d dialer) {
			d.GetConn("shop:443")
			d.connect(nil, 1)
			d.shake(nil, 0)
			d.GetConn("shop:443")
			time.Sleep(4 * time.Second)
			d.connect(nil, 1)
			d.shake(nil, 0)
			d.GotConn(fresh)
		}, nil, 6, 0, 2, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rt *wraphttp.RoundTripper
				var client *http.Client
				constructing := func() int64 { return rt.Stats().Usage[instrument.Constructing].Or(-1) }
				rt, client = mustWrap(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					c.told(dialer{httptrace.ContextClientTrace(r.Context()), constructing, t})
					return answer(r, c.err)
				}))
				try(client, httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.url, http.NoBody))
				s := rt.Stats()
				atRest(t, s)
				if waited := s.Wait[instrument.Acquired].Sum(); waited != c.waited {
					t.Errorf("waited %v s, want %v", waited, c.waited)
				}
				if count(s, instrument.Created, "") != c.created || s.Create[0].Duration.Sum() != c.made {
					t.Errorf("want %d made in %v s, not %v s: %v", c.created, c.made, s.Create[0].Duration.Sum(), s)
				}
				if count(s, instrument.CreateFailed, "error") != c.failed || s.Create[1].Duration.Sum() != c.unmade {
					t.Errorf(
						"want %d not made in %v s, not %v s: %v",
						c.failed,
						c.unmade,
						s.Create[1].Duration.Sum(),
						s,
					)
				}
			})
		})
	}
}
