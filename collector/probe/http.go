package probe

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// maxResponse is the maximum number of bytes read from a response, including the header.
const maxResponse = 64 << 10

// httpProbe gets a URL over HTTP/1.1 on a new connection in each run. It follows no redirects and
// uses no proxy. It does not use http.Transport, whose goroutines would make it impossible to
// measure the CPU time. Instead, each phase runs on the probe's own thread.
type httpProbe struct {
	dialer  dialer
	request *http.Request
	expect  Expectation
	tls     *tls.Config // nil for http
	timeout time.Duration
}

func newHTTP(u *url.URL, timeout time.Duration, expect Expectation, trust TLSConfig) *httpProbe {
	header := http.Header{"User-Agent": {"poolgauge"}}
	maps.Copy(header, expect.Header)
	host := cmp.Or(header.Get("Host"), u.Host)
	header.Del("Host")
	p := &httpProbe{timeout: timeout, expect: expect, request: &http.Request{
		Method: http.MethodGet, URL: u, Host: host, Close: true, Header: header,
	}}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
		p.tls = trust.config((&url.URL{Host: host}).Hostname(), "http/1.1")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	p.dialer = newDialer(u.Hostname(), port)
	return p
}

func (p *httpProbe) run(ctx context.Context) (r result) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	raw := p.dialer.dial(ctx, &r)
	if raw == nil {
		return r
	}
	defer func() { _ = raw.Close() }()

	conn := handshake(raw, p.tls, &r)
	if conn == nil {
		return r
	}
	start := time.Now()
	status, body, err := p.exchange(conn)
	switch {
	case err != nil:
		r.fail("response", start, errorType(err, "protocol"), err)
	case !p.expect.accepts(status):
		r.fail("response", start, strconv.Itoa(status), fmt.Errorf("status %d %s", status, http.StatusText(status)))
	case p.expect.Body != nil && !p.expect.Body.Match(body):
		r.fail(
			"response",
			start,
			"body",
			fmt.Errorf("body does not match %q (%d bytes read)", p.expect.Body, len(body)),
		)
	default:
		r.phase("response", start)
	}
	return r
}

// handshake performs the TLS handshake, and adds it to r as a phase, unless config is nil. It
// returns nil if the handshake fails.
func handshake(raw net.Conn, config *tls.Config, r *result) net.Conn {
	if config == nil {
		return raw
	}
	start := time.Now()
	secure := tls.Client(raw, config)
	// The connection has a deadline, which also limits the handshake. HandshakeContext would start
	// a goroutine, whose CPU time would not be measured.
	if err := secure.Handshake(); err != nil { //nolint:noctx // see above
		r.fail("tls", start, errorType(err, "tls"), err)
		var rejected *tls.CertificateVerificationError
		if errors.As(err, &rejected) {
			r.addExpiry(rejected.UnverifiedCertificates)
		}
		return nil
	}
	r.phase("tls", start)
	r.addExpiry(secure.ConnectionState().PeerCertificates)
	return secure
}

func (e Expectation) accepts(status int) bool {
	if len(e.Status) == 0 {
		return status < http.StatusBadRequest
	}
	return slices.Contains(e.Status, status)
}

// addExpiry adds the time until the earliest expiry of a certificate in the server's chain.
func (r *result) addExpiry(chain []*x509.Certificate) {
	if len(chain) == 0 {
		return
	}
	first := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	r.add(catalog.ProbeCertificateRemaining, time.Until(first).Seconds())
}

// exchange sends the request and reads up to maxResponse bytes of the response.
func (p *httpProbe) exchange(conn net.Conn) (status int, body []byte, err error) {
	if err := p.request.Write(conn); err != nil {
		return 0, nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxResponse}
	in := bufio.NewReader(limited)
	for {
		resp, err := http.ReadResponse(in, p.request)
		if err != nil {
			return 0, nil, err
		}
		if resp.StatusCode < http.StatusOK && resp.StatusCode != http.StatusSwitchingProtocols {
			continue // informational; the final response follows
		}
		if p.expect.Body == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		} else {
			body, err = io.ReadAll(resp.Body)
		}
		_ = resp.Body.Close()
		if limited.N <= 0 {
			err = nil // the limit was reached
		}
		return resp.StatusCode, body, err
	}
}

func (p *httpProbe) close() {}
