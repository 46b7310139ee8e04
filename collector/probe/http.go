package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// maxResponse is how much of a response is read, header and body.
const maxResponse = 64 << 10

// httpProbe gets a URL over HTTP/1.1 on a connection of its own, without following redirects and without a proxy. It does
// without http.Transport, which works on several goroutines: here each phase is one call and the thread's clock sees all of it.
type httpProbe struct {
	dialer  dialer
	request *http.Request
	tls     *tls.Config // nil for http
	timeout time.Duration
}

func newHTTP(u *url.URL, timeout time.Duration) *httpProbe {
	p := &httpProbe{timeout: timeout, request: &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Close: true,
		Header: http.Header{"User-Agent": {"poolgauge"}},
	}}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
		p.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}
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
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })() // when the sidecar stops

	conn := raw
	if p.tls != nil {
		start := time.Now()
		secure := tls.Client(conn, p.tls)
		// The deadline of the connection bounds it: with a context it would start a goroutine, whose CPU time nobody pays.
		if err := secure.Handshake(); err != nil { //nolint:noctx // see above
			r.fail("tls", start, errorType(err, "tls"), err)
			var refused *tls.CertificateVerificationError
			if errors.As(err, &refused) {
				r.certificates(refused.UnverifiedCertificates)
			}
			return r
		}
		r.phase("tls", start)
		r.certificates(secure.ConnectionState().PeerCertificates)
		conn = secure
	}

	start := time.Now()
	status, err := p.exchange(conn)
	switch {
	case err != nil:
		r.fail("response", start, errorType(err, "protocol"), err)
	case status >= http.StatusBadRequest:
		r.fail("response", start, strconv.Itoa(status), fmt.Errorf("status %d %s", status, http.StatusText(status)))
	default:
		r.phase("response", start)
	}
	return r
}

// certificates adds how long those that a server sent are valid, by the one that expires first.
func (r *result) certificates(chain []*x509.Certificate) {
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

// exchange sends the request and reads the response, or as much of it as maxResponse allows.
func (p *httpProbe) exchange(conn net.Conn) (status int, err error) {
	if err := p.request.Write(conn); err != nil {
		return 0, err
	}
	limited := &io.LimitedReader{R: conn, N: maxResponse}
	in := bufio.NewReader(limited)
	for {
		resp, err := http.ReadResponse(in, p.request)
		if err != nil {
			return 0, err
		}
		if resp.StatusCode < http.StatusOK && resp.StatusCode != http.StatusSwitchingProtocols {
			continue // informational: the response is yet to come
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if limited.N <= 0 {
			err = nil // cut off by us
		}
		return resp.StatusCode, err
	}
}

func (p *httpProbe) close() {}
