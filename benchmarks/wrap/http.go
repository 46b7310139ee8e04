package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
)

// transports returns subjects that send requests to server over the loopback interface.
func transports(server *httptest.Server) []harness.Subject {
	subject := func(name string, wrap func(http.RoundTripper) (http.RoundTripper, func())) harness.Subject {
		return harness.Subject{Name: name, New: func() (func(int), func()) {
			base := &http.Transport{MaxConnsPerHost: 8}
			rt, stop := wrap(base)
			c := &http.Client{Transport: rt}
			return func(n int) { get(c, server.URL, n) }, func() {
				stop()
				base.CloseIdleConnections()
			}
		}}
	}
	return []harness.Subject{
		subject("wraphttp", func(base http.RoundTripper) (http.RoundTripper, func()) {
			rt, err := wraphttp.Transport("benchmark", base)
			if err != nil {
				panic(err) // the name is not in use
			}
			return rt, rt.Close
		}),
		subject("bare", func(base http.RoundTripper) (http.RoundTripper, func()) { return base, func() {} }),
	}
}

func get(c *http.Client, url string, n int) {
	for range n {
		resp, err := c.Get(url) //nolint:noctx // a separate context would be measured too
		if err != nil {
			panic(err) // the server is in this process
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// endless is a listener whose Accept always returns a new connection.
type endless struct{ net.Listener }

type fakeConn struct{ net.Conn }

func (endless) Accept() (net.Conn, error) { return &fakeConn{}, nil }
func (endless) Close() error              { return nil }
func (*fakeConn) Close() error            { return nil }

func listeners(limit int) []harness.Subject {
	accept := func(l net.Listener) func(int) {
		return func(n int) {
			for range n {
				c, _ := l.Accept() // it cannot fail
				_ = c.Close()
			}
		}
	}
	return []harness.Subject{
		{Name: "wraphttp", New: func() (func(int), func()) {
			l, err := wraphttp.Listener("benchmark", endless{}, limit)
			if err != nil {
				panic(err) // the name is not in use
			}
			return accept(l), func() { _ = l.Close() }
		}},
		{Name: "bare", New: func() (func(int), func()) { return accept(endless{}), nil }},
	}
}

func httpCases() []harness.Case {
	server := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }),
	)
	return []harness.Case{
		// An httptrace needs a context and a copy of the request, so a target of 60 ns is out of
		// reach.
		{
			Name:     "http, a request on loopback",
			Subjects: transports(server),
			Bars:     []harness.Bar{{Peer: "bare", Ratio: 1.2}},
		},
		// The bare Accept makes no system call.
		{
			Name:     "http, accepting fake connections",
			Subjects: listeners(0),
			Bars:     []harness.Bar{{Peer: "bare", Ratio: 1, Plus: 120 * time.Nanosecond}},
		},
		{
			Name:     "http, accepting fake connections, 8 at a time",
			Subjects: listeners(8),
			Bars:     []harness.Bar{{Peer: "bare", Ratio: 1, Plus: 150 * time.Nanosecond}},
		},
	}
}
