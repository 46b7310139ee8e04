package probe

import (
	"bufio"
	"context"
	"crypto/x509"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

func httpTo(t *testing.T, url string) *httpProbe {
	t.Helper()
	_, p, err := Config{}.newHTTPProbe(Target{Address: url, Timeout: longTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*httpProbe)
}

func testServer(t *testing.T, tls bool) *httptest.Server {
	t.Helper()
	handler := http.NewServeMux()
	handler.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() != "poolgauge" || r.URL.RawQuery != "q=1" || r.ContentLength != 0 {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	handler.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	handler.Handle("/redirect", http.RedirectHandler("/gone", http.StatusFound))
	handler.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	handler.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 16<<10); ; {
			if _, err := w.Write(block); err != nil {
				return // the probe closed the connection
			}
		}
	})
	handler.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func TestHTTPProbeReportsTheResponse(t *testing.T) {
	s := testServer(t, false)
	for path, want := range map[string]string{
		"/ok?q=1":   "response",
		"/ok":       "response:418",
		"/none":     "response:404",
		"/hints":    "response:503", // after an informational 103
		"/redirect": "response",     // not followed
		"/endless":  "response",     // read up to the limit
	} {
		wantPhases(t, httpTo(t, s.URL+path).run(t.Context()), "connect", want)
	}
	p := httpTo(t, s.URL+"/slow")
	p.timeout = 500 * time.Millisecond // enough to connect, even on a busy machine
	wantPhases(t, p.run(t.Context()), "connect", "response:timeout")
	wantPhases(t, httpTo(t, "http://"+unusedAddress(t)).run(t.Context()), "connect:connection_refused")
}

func TestHTTPProbeOverTLS(t *testing.T) {
	s := testServer(t, true)
	trusting := httpTo(t, s.URL+"/ok?q=1")
	trusting.tls.RootCAs = x509.NewCertPool()
	trusting.tls.RootCAs.AddCert(s.Certificate())
	wantPhases(t, trusting.run(t.Context()), "connect", "tls", "response")

	wantPhases(t, httpTo(t, s.URL).run(t.Context()), "connect", "tls:tls") // signed by an unknown CA
	wantPhases(
		t,
		httpTo(t, strings.Replace(testServer(t, false).URL, "http:", "https:", 1)).run(t.Context()),
		"connect",
		"tls:tls",
	)
}

// The remaining validity of a certificate is reported whether or not it is trusted.
func TestRemainingValidityIsThatOfTheEarliestExpiry(t *testing.T) {
	s := testServer(t, true)
	trusting := httpTo(t, s.URL+"/ok?q=1")
	trusting.tls.RootCAs = x509.NewCertPool()
	trusting.tls.RootCAs.AddCert(s.Certificate())
	for name, p := range map[string]*httpProbe{"trusted": trusting, "not trusted": httpTo(t, s.URL)} {
		r := p.run(t.Context())
		found := 0
		for _, point := range r.points {
			if point.metric != catalog.ProbeCertificateRemaining {
				continue
			}
			found++
			if want := time.Until(s.Certificate().NotAfter).Seconds(); math.Abs(point.value-want) > 60 {
				t.Errorf("%s: %v s remain, want %v", name, point.value, want)
			}
		}
		if found != 1 {
			t.Errorf("%s: %d points, want 1", name, found)
		}
	}
	expiring := &x509.Certificate{NotAfter: time.Now().Add(-time.Hour)}
	var r result
	r.addExpiry([]*x509.Certificate{{NotAfter: time.Now().Add(time.Hour)}, expiring})
	if got := r.points[0].value; math.Abs(got+3600) > 60 {
		t.Errorf("%v s remain for a chain with an expired certificate, want -3600", got)
	}
}

func TestHTTPProbeReportsMalformedResponses(t *testing.T) {
	for name, c := range map[string]struct{ response, want string }{
		"garbage":        {"SSH-2.0-x\r\n", "response:protocol"},
		"nothing":        {"", "response:protocol"},
		"endless header": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxResponse), "response:protocol"},
		"short body":     {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", "response:protocol"},
		"no length":      {"HTTP/1.0 200 OK\r\n\r\nx", "response"},
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(conn net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, c.response)
			})
			wantPhases(t, httpTo(t, "http://"+address).run(t.Context()), "connect", c.want)
		})
	}
}

// A probe that is waiting for a response returns when its context is canceled.
func TestHTTPProbeIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address := listen(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		cancel()
		_, _ = conn.Read(make([]byte, 1)) // until the probe closes the connection
	})
	before := time.Now()
	httpTo(t, "http://"+address).run(ctx)
	if took := time.Since(before); took >= longTimeout {
		t.Errorf("a canceled run took %v, want less than the timeout", took)
	}
}
