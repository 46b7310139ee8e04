package wraphttp_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// If one of 20 hosts is full, the Stats show which.
func TestTransportReportsLimitPerHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		rt, c := mustWrap(
			t,
			&http.Transport{
				MaxConnsPerHost: 1,
				DialContext: pipeDialer(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Host == "host7" {
						<-hold
					}
					hello(w, r)
				}),
			},
		)
		for i := range 20 {
			if i != 7 {
				get(t, c, "http://host"+strconv.Itoa(i)+"/")
			}
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { get(t, c, "http://host7/") })
		}
		synctest.Wait()
		s := rt.Stats()
		if len(s.Parts) != 20 {
			t.Fatalf("got %d parts, want 20", len(s.Parts))
		}
		for _, p := range s.Parts {
			full := strings.Contains(p.Attributes[0].Value.AsString(), "host7")
			busy := p.Stats.Usage[instrument.Used].Or(-1) == 1 && p.Stats.Pending.Or(-1) == 2
			if p.Stats.Limit.Or(0) != 1 || busy != full {
				t.Errorf("%v: got %v, want a limit of 1, and full: %v", p.Attributes, p.Stats, full)
			}
		}
		close(hold)
		wg.Wait()
	})
}

// With a base that does not support traces, values are absent rather than 0.
func TestTransportWithoutTraces(t *testing.T) {
	rt, c := mustWrap(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	}))
	get(t, c, "http://shop/")
	if s := rt.Stats().String(); s != "no data" {
		t.Errorf("got %q, want %q", s, "no data")
	}
}

// Of three connections, two are closed because only one may be idle.
func TestTransportReportsWhyConnectionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, c := mustWrap(
			t,
			&http.Transport{
				MaxIdleConnsPerHost: 1,
				DialContext: pipeDialer(t, func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					hello(w, r)
				}),
			},
		)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { get(t, c, "http://shop/") })
		}
		wg.Wait()
		if s := rt.Stats(); count(s, instrument.Ended, "max_idle") != 2 || count(s, instrument.Ended, "other") != 0 {
			t.Errorf("got %v, want 2 connections closed as max_idle and 0 as other", s)
		}
	})
}

// A reverse proxy that uses the transport forwards the half-close of one side, and the data that
// the other side sends afterwards.
func TestTransportSupportsHalfClose(t *testing.T) {
	backend := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		data, _ := io.ReadAll(rw) // until the client has closed its half
		_, _ = conn.Write(data)
	})
	rt, _ := mustWrap(t, new(http.Transport))
	target, _ := url.Parse(backend.URL)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = rt
	front := serve(t, proxy.ServeHTTP)
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(c)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	if s := rt.Stats(); s.Usage[instrument.Used].Or(-1) != 1 {
		t.Errorf("while the caller owns the connection: got %v, want 1 used", s)
	}
	_, _ = io.WriteString(c, "hello")
	_ = c.(*net.TCPConn).CloseWrite()
	if data, err := io.ReadAll(reader); string(data) != "hello" || err != nil {
		t.Errorf("got %q, %v from the backend; want hello", data, err)
	}
	// wait until the proxy has closed the connection
	for singleHostStats(t, rt).Usage[instrument.Used].Or(-1) != 0 {
		time.Sleep(time.Millisecond)
	}
}
