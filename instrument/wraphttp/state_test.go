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

// atRest checks that nothing is in flight, and that requests and outcomes add up.
func atRest(t *testing.T, s instrument.Stats) {
	t.Helper()
	for state, n := range s.Usage {
		if n.Or(0) != 0 {
			t.Errorf("at rest %d are %v", n.Or(0), instrument.State(state))
		}
	}
	completed := s.Completed[instrument.OK].Or(0) + s.Completed[instrument.Failed].Or(0)
	if s.Pending.Or(-1) != 0 || s.Requests[instrument.Acquired].Or(-1) != completed {
		t.Errorf("at rest %v", s)
	}
}

func count(s instrument.Stats, e instrument.Event, reason string) (n int64) {
	for _, r := range s.Resources {
		if r.Event == e && r.Reason == reason {
			n += r.Count
		}
	}
	return n
}

// net/http requests a connection twice before it gets an HTTP/2 connection.
func TestTransportOnHTTP2LeavesNothing(t *testing.T) {
	for name, base := range map[string]*http.Transport{"": {}, "limited": {MaxConnsPerHost: 2}} {
		t.Run(name, func(t *testing.T) {
			const at, rounds = 20, 5
			s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
			s.EnableHTTP2, s.Config.ErrorLog = true, log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			base.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			base.ForceAttemptHTTP2 = true
			rt, c := mustWrap(t, base)
			for range rounds {
				var wg sync.WaitGroup
				for range at {
					wg.Go(
						func() { try(c, httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)) },
					)
				}
				wg.Wait()
				s.CloseClientConnections()
			}
			rt.CloseIdleConnections()
			dialsEnd(t, rt)
			last := only(t, rt)
			atRest(t, last)
			if n := last.Requests[instrument.Acquired].Or(
				0,
			); n < at*rounds ||
				last.Wait[instrument.Acquired].Count() != uint64(n) {
				t.Errorf(
					"%d acquired, %d waits, want %d and more",
					n,
					last.Wait[instrument.Acquired].Count(),
					at*rounds,
				)
			}
			if _, limited := last.Limit.Get(); limited {
				t.Errorf("there is a limit, of streams: %v", last)
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

// On HTTP/2, net/http may report that it requests one connection several times, or never, and that
// it gets several connections one after the other.
func TestTransportTakesWhatNetHTTPTells(t *testing.T) {
	for name, c := range map[string]struct {
		told             func(*httptrace.ClientTrace)
		acquired, failed int64
		err              error
	}{
		"never asked": {func(h *httptrace.ClientTrace) { h.GotConn(httptrace.GotConnInfo{Reused: true}) }, 1, 0, nil},
		"asked twice": {func(h *httptrace.ClientTrace) {
			h.GetConn("shop:80")
			h.GetConn("shop:80")
			h.GotConn(httptrace.GotConnInfo{})
		}, 1, 0, nil},
		"told twice": {func(h *httptrace.ClientTrace) { h.GotConn(httptrace.GotConnInfo{}); h.GotConn(httptrace.GotConnInfo{}) }, 1, 0, nil},
		"the second, at last": {func(h *httptrace.ClientTrace) {
			h.GotConn(httptrace.GotConnInfo{})
			h.GetConn("shop:80")
			h.GotConn(httptrace.GotConnInfo{})
		}, 2, 1, nil},
		"and none": {func(h *httptrace.ClientTrace) { h.GetConn("shop:80"); h.GetConn("shop:80") }, 1, 1, errRefused},
		"nothing":  {func(*httptrace.ClientTrace) {}, 0, 0, errRefused},
	} {
		t.Run(name, func(t *testing.T) {
			rt, client := mustWrap(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				c.told(httptrace.ContextClientTrace(r.Context()))
				return answer(r, c.err)
			}))
			try(client, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", http.NoBody))
			s := rt.Stats()
			if s.Requests[instrument.Acquired].Or(0) != c.acquired || s.Completed[instrument.Failed].Or(0) != c.failed {
				t.Errorf("want %d acquired, %d failed: %v", c.acquired, c.failed, s)
			}
			if c.acquired > 0 {
				atRest(t, s)
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

// dialsEnd waits until the dials that requests left behind have ended.
func dialsEnd(t *testing.T, rt *wraphttp.RoundTripper) {
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
			t.Fatalf("dials never end: %v", s)
		case <-time.After(time.Millisecond):
		}
	}
}

// pipe returns a dialer that connects to a server in the test's bubble, which handles requests with
// h. The dialer does not call the trace, like a dialer that drops the context.
func pipe(t *testing.T, h http.HandlerFunc) func(context.Context, string, string) (net.Conn, error) {
	l := &pipes{made: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); wg.Wait() })
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		l.made <- server
		return client, nil
	}
}

type pipes struct {
	made   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.made:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipes) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// A request that http.Client.Timeout ends while it waits counts as timed out.
func TestTransportCountsTheClientsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		rt, c := mustWrap(
			t,
			&http.Transport{
				MaxConnsPerHost: 1,
				DialContext:     pipe(t, func(http.ResponseWriter, *http.Request) { <-hold }),
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
					t.Error("got a connection")
				}
			})
		}
		time.Sleep(2 * time.Second)
		s := only(t, rt)
		if s.Requests[instrument.TimedOut].Or(0) != n || s.Requests[instrument.Acquired].Or(0) != 1 ||
			s.Wait[instrument.TimedOut].Sum() != n {
			t.Errorf("%d in time out: %v", n, s)
		}
		close(hold)
		wg.Wait()
		atRest(t, only(t, rt))
		// The deprecated field that cancels a request has the same effect.
		cancel := make(chan struct{})
		close(cancel)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", nil)
		req.Cancel = cancel //nolint:staticcheck // programs still use it
		if resp, err := rt.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
		atRest(t, only(t, rt))
	})
}

// With a dialer that does not call the trace, net/http's report of the connection shows that it is
// new.
func TestTransportWithASilentDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := pipe(t, hello)
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
				t.Errorf("while it is dialed: %v", s)
			}
			<-done
		}
		broken = true
		if resp, err := c.Get("http://shop/"); err == nil {
			_ = resp.Body.Close()
		}
		s := rt.Stats()
		atRest(t, s)
		if count(s, instrument.Created, "") != n || s.Create[0].Duration.Count() != n ||
			s.Create[0].Duration.Sum() != 2*n {
			t.Errorf("want %d made in 2 s each: %v", n, s)
		}
		if count(s, instrument.CreateFailed, "error") != 1 || s.Create[1].Duration.Sum() != 2 {
			t.Errorf("want 1 not made in 2 s: %v", s)
		}
		if w := s.Wait[instrument.Acquired]; w.Count() != n+1 || w.Sum() != 0 {
			t.Errorf("%d waited %v s: nothing waits where there is no limit", w.Count(), w.Sum())
		}
	})
}

var errRefused = errors.New("refused")

// A dial continues after its request has given up, and the next request gets its connection.
func TestTransportCountsADialThatWasLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := pipe(t, hello)
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
		s := only(t, rt)
		if s.Usage[instrument.Constructing].Or(-1) != 1 || s.Requests[instrument.TimedOut].Or(0) != 1 ||
			s.Wait[instrument.TimedOut].Sum() != 0 {
			t.Errorf("given up while it was dialed for: %v", s)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			get(t, c, "http://shop/")
		}()
		synctest.Wait()
		if s := only(t, rt); s.Pending.Or(-1) != 1 || s.Usage[instrument.Constructing].Or(-1) != 1 {
			t.Errorf("the next one waits: %v", s)
		}
		<-done
		s = only(t, rt)
		atRest(t, s)
		if count(s, instrument.Created, "") != 1 || s.Create[0].Duration.Sum() != 4 ||
			s.Wait[instrument.Acquired].Sum() != 3 {
			t.Errorf("one connection in 4 s, for which the second waits 3 s: %v", s)
		}
	})
}

// The slot of a request whose context has ended is free, even if the body of its response is never
// closed.
func TestTransportFreesTheSlotOfAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		defer close(hold)
		rt, c := mustWrap(
			t,
			&http.Transport{MaxConnsPerHost: 1, DialContext: pipe(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(w, "5")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-hold:
				case <-r.Context().Done():
				}
			})},
		)
		for i := range int64(3) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop/", nil)
			if _, err := c.Do(req); err != nil { // the body is not closed on purpose
				t.Fatal(err)
			}
			if s := only(t, rt); s.Usage[instrument.Used].Or(-1) != 1 || s.Requests[instrument.Acquired].Or(-1) != i+1 {
				t.Errorf("in use: %v", s)
			}
			time.Sleep(2 * time.Second)
			if s := only(t, rt); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.Failed].Or(-1) != i+1 {
				t.Errorf("the context has ended: %v", s)
			}
		}
	})
}
