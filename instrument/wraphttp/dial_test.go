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

// slowDial takes 2 s to connect to a server that responds to one request. It calls the trace, as a
// net.Dialer does.
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

// A request that waited for a slot has the trace of its context.
func TestTransportKnowsTheTraceOfTheLongestWait(t *testing.T) {
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
		s := only(t, rt)
		longest := s.Wait[instrument.Acquired].Max()
		if e := s.Exemplars; len(e) != 1 || e[0].Trace != (trace.TraceID{3}) || e[0].Wait != longest || longest == 0 {
			t.Errorf("%+v, want trace 3 and %v", e, longest)
		}
	})
}

// Connecting does not count as waiting; waiting for a slot does.
func TestTransportTellsDialingFromWaiting(t *testing.T) {
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
		if s := only(
			t,
			rt,
		); s.Pending.Or(-1) != 1 || s.Usage[instrument.Constructing].Or(-1) != 1 ||
			s.Usage[instrument.Used].Or(-1) != 0 {
			t.Errorf("1 s: %v pending, usage %v", s.Pending, s.Usage)
		}
		<-done
		<-done
		s := only(t, rt)
		// The first request does not wait; the second waits 5 s until the first is done.
		if waits := s.Wait[instrument.Acquired]; waits.Count() != 2 || waits.Sum() != 5 {
			t.Errorf("%d waits, %v s", waits.Count(), waits.Sum())
		}
		if made := s.Create[0].Duration; made.Count() != 2 || made.Sum() != 4 {
			t.Errorf("%d connections made in %v s", made.Count(), made.Sum())
		}
		if s.Use.Sum() != 6 {
			t.Errorf("used %v s, want 6", s.Use.Sum())
		}
	})
}
