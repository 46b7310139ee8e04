package wraphttp_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// slowDial takes 2 s to connect to a server that responds to one request, after 3 s. It calls the
// hooks of the trace, as a net.Dialer does.
func slowDial(ctx context.Context, network, addr string) (net.Conn, error) {
	trace := httptrace.ContextClientTrace(ctx)
	trace.ConnectStart(network, addr)
	time.Sleep(2 * time.Second)
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
			time.Sleep(3 * time.Second)
			_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	}()
	trace.ConnectDone(network, addr, nil)
	return client, nil
}

// The exemplar of the longest wait for a slot has the trace of the request's context.
func TestTransportExemplarOfLongestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, err := wraphttp.Transport("api", &http.Transport{DialContext: slowDial, MaxConnsPerHost: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		done := make(chan struct{}, 3)
		for id := range byte(3) {
			ctx := pooltest.InTrace(t.Context(), id+1)
			go func() {
				defer func() { done <- struct{}{} }()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop/", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}()
			synctest.Wait()
		}
		for range 3 {
			<-done
		}
		s := singleHostStats(t, rt)
		longest := s.Wait[instrument.Acquired].Max()
		if e := s.Exemplars; len(e) != 1 || e[0].Trace != (trace.TraceID{3}) || e[0].Wait != longest || longest == 0 {
			t.Errorf("got exemplars %+v, want one with trace 3 and a wait of %v", e, longest)
		}
	})
}

// Waiting for a slot counts as waiting, but dialing does not.
func TestTransportDistinguishesDialingFromWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, err := wraphttp.Transport("api", &http.Transport{DialContext: slowDial, MaxConnsPerHost: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		done := make(chan struct{}, 2)
		for range 2 {
			go func() {
				get(t, &http.Client{Transport: rt}, "http://shop/")
				done <- struct{}{}
			}()
		}
		time.Sleep(time.Second)
		if s := singleHostStats(
			t,
			rt,
		); s.Pending.Or(-1) != 1 || s.Usage[instrument.Constructing].Or(-1) != 1 ||
			s.Usage[instrument.Used].Or(-1) != 0 {
			t.Errorf("after 1 s: got %v pending, usage %v; want 1 pending, 1 constructing, 0 used", s.Pending, s.Usage)
		}
		<-done
		<-done
		s := singleHostStats(t, rt)
		// The first request does not wait; the second waits 5 s, until the first has ended.
		if waits := s.Wait[instrument.Acquired]; waits.Count() != 2 || waits.Sum() != 5 {
			t.Errorf("got %d waits, %v s in total; want 2, 5 s", waits.Count(), waits.Sum())
		}
		if dials := s.Create[0].Duration; dials.Count() != 2 || dials.Sum() != 4 {
			t.Errorf("got %d dials, %v s in total; want 2, 4 s", dials.Count(), dials.Sum())
		}
		if s.Use.Sum() != 6 {
			t.Errorf("got uses of %v s in total, want 6 s", s.Use.Sum())
		}
	})
}
