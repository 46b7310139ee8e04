package wraphttp_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
)

func mustWrap(t *testing.T, base http.RoundTripper) (*wraphttp.RoundTripper, *http.Client) {
	t.Helper()
	rt, err := wraphttp.Transport("api", base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		rt.CloseIdleConnections()
		rt.Close()
	})
	return rt, &http.Client{Transport: rt}
}

// checkIdle checks that nothing is in progress, and that requests and completed uses add up.
func checkIdle(t *testing.T, s instrument.Stats) {
	t.Helper()
	for state, n := range s.Usage {
		if n.Or(0) != 0 {
			t.Errorf("nothing is in progress, but %d connections are %v", n.Or(0), instrument.State(state))
		}
	}
	completed := s.Completed[instrument.OK].Or(0) + s.Completed[instrument.Failed].Or(0)
	if s.Pending.Or(-1) != 0 || s.Requests[instrument.Acquired].Or(-1) != completed {
		t.Errorf("nothing is in progress: got %v, want 0 pending, and as many acquired as completed", s)
	}
}

// count returns the number of events with the given reason.
func count(s instrument.Stats, e instrument.Event, reason string) (n int64) {
	for _, r := range s.Resources {
		if r.Event == e && r.Reason == reason {
			n += r.Count
		}
	}
	return n
}

// On HTTP/2, net/http may request a connection twice for one request. Even so, nothing counts as in
// progress after all requests have ended.
func TestTransportIsIdleAfterHTTP2(t *testing.T) {
	for name, base := range map[string]*http.Transport{"unlimited": {}, "limited": {MaxConnsPerHost: 2}} {
		t.Run(name, func(t *testing.T) {
			const concurrent, rounds = 20, 5
			s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
			s.EnableHTTP2, s.Config.ErrorLog = true, log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			base.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			base.ForceAttemptHTTP2 = true
			rt, c := mustWrap(t, base)
			for range rounds {
				var wg sync.WaitGroup
				for range concurrent {
					wg.Go(
						func() { try(c, httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)) },
					)
				}
				wg.Wait()
				s.CloseClientConnections()
			}
			rt.CloseIdleConnections()
			waitForDials(t, rt)
			last := singleHostStats(t, rt)
			checkIdle(t, last)
			if n := last.Requests[instrument.Acquired].Or(
				0,
			); n < concurrent*rounds ||
				last.Wait[instrument.Acquired].Count() != uint64(n) {
				t.Errorf(
					"got %d acquired and %d waits, want at least %d, and the same number",
					n,
					last.Wait[instrument.Acquired].Count(),
					concurrent*rounds,
				)
			}
			if _, limited := last.Limit.Get(); limited {
				t.Errorf("a limit is reported, although uses are streams: %v", last)
			}
		})
	}
}

// try makes a request that may fail, and reads the response to its end.
func try(c *http.Client, req *http.Request) {
	req.RequestURI = ""
	resp, err := c.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// On HTTP/2, net/http may report one connection several times, or none, or several connections in
// turn.
func TestTransportAcceptsHooksInAnyOrder(t *testing.T) {
	for name, c := range map[string]struct {
		callHooks        func(*httptrace.ClientTrace)
		acquired, failed int64
		err              error
	}{
		"connection without a request": {func(h *httptrace.ClientTrace) { h.GotConn(httptrace.GotConnInfo{Reused: true}) }, 1, 0, nil},
		"connection requested twice": {func(h *httptrace.ClientTrace) {
			h.GetConn("shop:80")
			h.GetConn("shop:80")
			h.GotConn(httptrace.GotConnInfo{})
		}, 1, 0, nil},
		"connection reported twice": {func(h *httptrace.ClientTrace) { h.GotConn(httptrace.GotConnInfo{}); h.GotConn(httptrace.GotConnInfo{}) }, 1, 0, nil},
		"second connection after the first": {func(h *httptrace.ClientTrace) {
			h.GotConn(httptrace.GotConnInfo{})
			h.GetConn("shop:80")
			h.GotConn(httptrace.GotConnInfo{})
		}, 2, 1, nil},
		"connection requested but not reported": {func(h *httptrace.ClientTrace) { h.GetConn("shop:80"); h.GetConn("shop:80") }, 1, 1, errRefused},
		"no hook called":                        {func(*httptrace.ClientTrace) {}, 0, 0, errRefused},
	} {
		t.Run(name, func(t *testing.T) {
			rt, client := mustWrap(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				c.callHooks(httptrace.ContextClientTrace(r.Context()))
				return answer(r, c.err)
			}))
			try(client, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", http.NoBody))
			s := rt.Stats()
			if s.Requests[instrument.Acquired].Or(0) != c.acquired || s.Completed[instrument.Failed].Or(0) != c.failed {
				t.Errorf("got %v, want %d acquired and %d failed", s, c.acquired, c.failed)
			}
			if c.acquired > 0 {
				checkIdle(t, s)
			}
		})
	}
}

// answer returns an empty response to a request, or err.
func answer(r *http.Request, err error) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// waitForDials waits until all dials have ended, including those that their requests abandoned.
func waitForDials(t *testing.T, rt *wraphttp.RoundTripper) {
	t.Helper()
	for {
		constructing := int64(0)
		s := rt.Stats()
		for _, part := range append(s.Parts, instrument.Part{Stats: s}) {
			constructing += part.Stats.Usage[instrument.Constructing].Or(0)
		}
		if constructing == 0 {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("dials are still in progress at the end of the test: %v", s)
		case <-time.After(time.Millisecond):
		}
	}
}

// pipeDialer returns a dialer that connects to a server in the test's bubble, which handles
// requests with h. The dialer does not call the trace's hooks, like a dialer that drops the
// context.
func pipeDialer(t *testing.T, h http.HandlerFunc) func(context.Context, string, string) (net.Conn, error) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); wg.Wait() })
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		l.conns <- server
		return client, nil
	}
}

// pipeListener is a listener that accepts the server ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// If http.Client.Timeout expires while a request waits, the request counts as timed out.
func TestTransportCountsClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		rt, c := mustWrap(
			t,
			&http.Transport{
				MaxConnsPerHost: 1,
				DialContext:     pipeDialer(t, func(http.ResponseWriter, *http.Request) { <-hold }),
			},
		)
		var wg sync.WaitGroup
		wg.Go(func() { get(t, c, "http://shop/") })
		synctest.Wait()
		impatient := &http.Client{Transport: rt, Timeout: time.Second}
		const n = 50
		for range n {
			wg.Go(func() {
				if resp, err := impatient.Get("http://shop/"); err == nil {
					_ = resp.Body.Close()
					t.Error("got a response, want a timeout")
				}
			})
		}
		time.Sleep(2 * time.Second)
		s := singleHostStats(t, rt)
		if s.Requests[instrument.TimedOut].Or(0) != n || s.Requests[instrument.Acquired].Or(0) != 1 ||
			s.Wait[instrument.TimedOut].Sum() != n {
			t.Errorf("got %v, want %d timed out after 1 s each, and 1 acquired", s, n)
		}
		close(hold)
		wg.Wait()
		checkIdle(t, singleHostStats(t, rt))
		// The deprecated field Cancel of a request also ends a wait.
		cancel := make(chan struct{})
		close(cancel)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", nil)
		req.Cancel = cancel //nolint:staticcheck // programs still use it
		if resp, err := rt.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
		checkIdle(t, singleHostStats(t, rt))
	})
}

// If the dialer does not call the trace's hooks, a connection still counts as created if net/http
// reports it as new.
func TestTransportWithUntracedDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := pipeDialer(t, hello)
		broken := false
		rt, c := mustWrap(
			t,
			&http.Transport{
				DisableKeepAlives: true,
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					time.Sleep(2 * time.Second)
					if broken {
						return nil, errRefused
					}
					return dial(ctx, network, addr)
				},
			},
		)
		const n = 10
		for i := range n {
			done := make(chan struct{})
			go func() {
				defer close(done)
				get(t, c, "http://shop/")
			}()
			time.Sleep(time.Second)
			if s := rt.Stats(); i > 0 && (s.Usage[instrument.Constructing].Or(-1) != 1 || s.Pending.Or(-1) != 0) {
				t.Errorf("during the dial: got %v, want 1 constructing and 0 pending", s)
			}
			<-done
		}
		broken = true
		if resp, err := c.Get("http://shop/"); err == nil {
			_ = resp.Body.Close()
		}
		s := rt.Stats()
		checkIdle(t, s)
		if count(s, instrument.Created, "") != n || s.Create[0].Duration.Count() != n ||
			s.Create[0].Duration.Sum() != 2*n {
			t.Errorf("got %v, want %d connections created in 2 s each", s, n)
		}
		if count(s, instrument.CreateFailed, "error") != 1 || s.Create[1].Duration.Sum() != 2 {
			t.Errorf("got %v, want 1 failed dial of 2 s", s)
		}
		if w := s.Wait[instrument.Acquired]; w.Count() != n+1 || w.Sum() != 0 {
			t.Errorf("got %d waits, %v s in total; want %d, 0 s, since there is no limit", w.Count(), w.Sum(), n+1)
		}
	})
}

var errRefused = errors.New("refused")

// A dial continues after its request has given up, and the next request gets its connection.
func TestTransportCountsAbandonedDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := pipeDialer(t, hello)
		rt, c := mustWrap(
			t,
			&http.Transport{
				MaxConnsPerHost: 1,
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					trace := httptrace.ContextClientTrace(ctx)
					trace.ConnectStart(network, addr)
					time.Sleep(4 * time.Second)
					defer trace.ConnectDone(network, addr, nil)
					return dial(ctx, network, addr)
				},
			},
		)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop/", nil)
		if _, err := c.Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		s := singleHostStats(t, rt)
		if s.Usage[instrument.Constructing].Or(-1) != 1 || s.Requests[instrument.TimedOut].Or(0) != 1 ||
			s.Wait[instrument.TimedOut].Sum() != 0 {
			t.Errorf("after giving up during the dial: got %v, want 1 constructing, and 1 timeout without a wait", s)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			get(t, c, "http://shop/")
		}()
		synctest.Wait()
		if s := singleHostStats(t, rt); s.Pending.Or(-1) != 1 || s.Usage[instrument.Constructing].Or(-1) != 1 {
			t.Errorf("while the next request waits: got %v, want 1 pending and 1 constructing", s)
		}
		<-done
		s = singleHostStats(t, rt)
		checkIdle(t, s)
		if count(s, instrument.Created, "") != 1 || s.Create[0].Duration.Sum() != 4 ||
			s.Wait[instrument.Acquired].Sum() != 3 {
			t.Errorf("got %v, want 1 connection created in 4 s, and a wait of 3 s for it", s)
		}
	})
}

// The slot of a request whose context is done is free, even if the response's body is never closed.
func TestTransportFreesSlotWhenContextIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		defer close(hold)
		rt, c := mustWrap(
			t,
			&http.Transport{
				MaxConnsPerHost: 1,
				DialContext: pipeDialer(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", "10")
					_, _ = io.WriteString(w, "5")
					_ = http.NewResponseController(w).Flush()
					select {
					case <-hold:
					case <-r.Context().Done():
					}
				}),
			},
		)
		for i := range int64(3) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop/", nil)
			if _, err := c.Do(req); err != nil { // the body is not closed on purpose
				t.Fatal(err)
			}
			if s := singleHostStats(t, rt); s.Usage[instrument.Used].Or(-1) != 1 ||
				s.Requests[instrument.Acquired].Or(-1) != i+1 {
				t.Errorf("before the context is done: got %v, want 1 used, and %d acquired", s, i+1)
			}
			time.Sleep(2 * time.Second)
			if s := singleHostStats(t, rt); s.Usage[instrument.Used].Or(-1) != 0 ||
				s.Completed[instrument.Failed].Or(-1) != i+1 {
				t.Errorf("after the context is done: got %v, want 0 used, and %d failed", s, i+1)
			}
		}
	})
}
