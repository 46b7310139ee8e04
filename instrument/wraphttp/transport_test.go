package wraphttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

const pool = "poolgauge.pool."

// client returns a client that uses an instrumented transport.
func client(t *testing.T, base http.RoundTripper, opts ...instrument.Option) *http.Client {
	t.Helper()
	rt, err := wraphttp.Transport("api", base, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		rt.CloseIdleConnections()
		rt.Close()
		rt.Close()
	})
	return &http.Client{Transport: rt}
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, c *http.Client, url string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
}

// singleHostStats returns the Stats of a transport that has contacted at most one host.
func singleHostStats(t testing.TB, rt *wraphttp.RoundTripper) instrument.Stats {
	t.Helper()
	s := rt.Stats()
	switch len(s.Parts) {
	case 0:
		return s
	case 1:
		return s.Parts[0].Stats
	}
	t.Fatalf("got %d parts, want at most 1:\n%v", len(s.Parts), s)
	return s
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestTransportReportsReuse(t *testing.T) {
	s := serve(t, hello)
	c := client(t, &http.Transport{MaxConnsPerHost: 3}, instrument.WithConventions())
	for range 5 {
		get(t, c, s.URL)
	}
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
		pool + "limit":                         3,
		pool + "requests acquired":             5,
		pool + "completed ok":                  5,
		pool + "usage used":                    0,
		pool + "pending":                       0,
		pool + "usage constructing":            0,
		pool + "resources created":             1,
		pool + "create.duration":               1,
		pool + "wait.duration acquired":        5,
		pool + "use.duration":                  5,
		"http.client.request.duration GET 200": 5,
		"http.client.active_requests":          0,
	})
}

func TestTransportOverTLS(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
			s.EnableHTTP2 = http2
			s.StartTLS()
			defer s.Close()
			base := s.Client().Transport.(*http.Transport)
			base.MaxConnsPerHost = 2
			c := client(t, base)
			for range 3 {
				get(t, c, s.URL)
			}
			got := pooltest.Points(t)
			pooltest.HasPoints(t, got, map[string]float64{
				pool + "requests acquired": 3,
				pool + "completed ok":      3,
				pool + "resources created": 1,
				pool + "create.duration":   1,
			})
			if _, limited := got[pool+"limit"]; limited == http2 {
				t.Errorf("limit reported: %v, want %v", limited, !http2)
			}
		})
	}
}

// A request waits while the only connection is used. The use ends when the body is closed.
func TestTransportReportsWaitsAndUses(t *testing.T) {
	s := serve(t, hello)
	c := client(t, &http.Transport{MaxConnsPerHost: 1})
	first, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	trace := &httptrace.ClientTrace{GetConn: func(string) { close(waiting) }}
	req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, s.URL, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Do(req); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-waiting // the caller's hooks are also called, after those of the pool
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{pool + "usage used": 1, pool + "pending": 1})
	cancel()
	wg.Wait()
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
		pool + "pending":                0,
		pool + "requests canceled":      1,
		pool + "wait.duration canceled": 1,
		pool + "requests acquired":      1,
	})
	_ = first.Body.Close()
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{pool + "usage used": 0, pool + "completed ok": 1})
}

func TestTransportReportsFailureToConnect(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close() // from now on its port refuses connections
	c := client(t, new(http.Transport), instrument.WithConventions())
	if _, err := c.Get(s.URL); err == nil {
		t.Fatal("connected to a closed server")
	}
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
		pool + "requests acquired":               1,
		pool + "completed error":                 1,
		pool + "resources create_failed error":   1,
		pool + "resources created":               0,
		pool + "create.duration error":           1,
		pool + "usage used":                      0,
		pool + "usage constructing":              0,
		"http.client.request.duration GET error": 1,
	})
}

// The response that the caller gets has the same Request and the same kind of Body as without the
// wrapper.
func TestTransportPreservesResponse(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "echo")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})
	c := client(t, new(http.Transport))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodHead, s.URL, nil)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Body != http.NoBody || resp.Request != req {
		t.Errorf("got body %T and request %p, want http.NoBody and %p", resp.Body, resp.Request, req)
	}
	switched, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer switched.Body.Close()
	if _, ok := switched.Body.(io.Writer); !ok {
		t.Errorf("after a protocol switch: got body %T, want an io.Writer", switched.Body)
	}
}

func TestTransportInvariantsUnderLoad(t *testing.T) {
	s := serve(t, hello)
	base := &http.Transport{MaxConnsPerHost: 2}
	rt, err := wraphttp.Transport("api", base)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	defer rt.CloseIdleConnections()
	c := &http.Client{Transport: rt}
	var in pooltest.Invariants
	last := in.HoldUnder(t, func() instrument.Stats { return singleHostStats(t, rt) }, func() {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for range 30 {
					get(t, c, s.URL)
				}
			})
		}
		wg.Wait()
	})
	if n := last.Requests[instrument.Acquired].Or(
		0,
	); n != 180 || last.Usage[instrument.Used].Or(-1) != 0 ||
		last.Pending.Or(-1) != 0 {
		t.Errorf("got %d acquired, want 180; want 0 used and 0 pending in %+v", n, last)
	}
}

// Hosts beyond the first 100 share one series.
func TestTransportLimitsNumberOfHosts(t *testing.T) {
	client := client(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody, Request: r, ProtoMajor: 1}, nil
	}), instrument.WithConventions())
	for i := range 150 {
		get(t, client, "http://h"+strings.Repeat("x", i)+"/")
	}
	r := instrument.OpenReader()
	defer r.Close()
	hosts, requests := 0, uint64(0)
	for p := range r.Points() {
		if p.Metric == catalog.HTTPRequestDuration {
			hosts++
			requests += p.Histogram.Count()
		}
	}
	if hosts != 101 || requests != 150 {
		t.Errorf("got %d series with %d requests, want 101 with 150", hosts, requests)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportRejectsNilTransport(t *testing.T) {
	if _, err := wraphttp.Transport(
		"api",
		(*http.Transport)(nil),
	); err == nil ||
		!strings.Contains(err.Error(), `"api": got a nil *http.Transport`) {
		t.Errorf("got error %v, want one that mentions a nil *http.Transport", err)
	}
}

func TestTransportWithoutTelemetry(t *testing.T) {
	s := serve(t, hello)
	c := client(t, new(http.Transport), instrument.WithoutTelemetry())
	get(t, c, s.URL)
	if got := pooltest.Points(t); len(got) > 0 {
		t.Errorf("got points %v, want none", got)
	}
}
