package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

const (
	protobuf      = "application/x-protobuf"
	longestAnswer = 64 << 10 // that is read, in bytes
	idle          = 90 * time.Second
)

// httpClient sends OTLP as protobuf over HTTP/1.1.
type httpClient struct {
	endpoints map[otlp.Signal]Endpoint
	userAgent string
	renewed   func() *http.Transport
	http      http.Client
	packer    *gzip.Writer // nil: no compression
}

func dialHTTP(cfg Config) (Client, error) {
	for _, e := range cfg.Endpoints {
		if u, err := url.Parse(e.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("endpoint: expected a URL of http or https for %s, got %q", HTTPProtobuf, e.URL)
		}
	}
	c := &httpClient{endpoints: cfg.Endpoints, userAgent: cfg.UserAgent, renewed: func() *http.Transport { return newTransport(cfg) }}
	c.http.Transport = c.renewed()
	// Followed, a redirect could make a GET of the request, which looks like success, or show its headers to another host.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if cfg.Gzip {
		c.packer = gzip.NewWriter(nil)
	}
	return c, nil
}

// newTransport returns a pool of one connection a host. Certificates are loaded at each handshake; behind a proxy, where the standard library
// shakes hands itself, once a transport.
func newTransport(cfg Config) *http.Transport {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialTLSContext: dialTLS(cfg.TLS), MaxIdleConnsPerHost: 1, IdleConnTimeout: idle,
		MaxResponseHeaderBytes: longestAnswer,
	}
	if config, err := cfg.TLS(); err == nil {
		t.TLSClientConfig = config
	}
	return t
}

// Send implements [Client].
func (c *httpClient) Send(ctx context.Context, b otlp.Batch) (Result, error) {
	request, err := c.request(ctx, b)
	if err != nil {
		return Result{}, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.renew()
		return Result{}, brokenHTTP(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	switch {
	case response.StatusCode/100 != 2:
		return Result{}, httpFailure(response, body, time.Now())
	case err != nil || contentType(response) != protobuf:
		return Result{}, nil // it took the request; whatever else it says is not for us
	}
	return resultOf(body), nil
}

func (c *httpClient) request(ctx context.Context, b otlp.Batch) (*http.Request, error) {
	to, ok := c.endpoints[b.Signal]
	if !ok {
		return nil, noEndpoint(b.Signal)
	}
	body := b.Data
	if c.packer != nil {
		body = c.pack(body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return nil, &Failure{Reason: reasonRequest, Err: err}
	}
	if c.packer != nil {
		request.Header.Set("Content-Encoding", "gzip")
	}
	request.Header.Set("User-Agent", c.userAgent)
	for name, value := range to.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", protobuf)
	return request, nil
}

func (c *httpClient) pack(body []byte) []byte {
	var packed bytes.Buffer
	c.packer.Reset(&packed)
	_, _ = c.packer.Write(body) // to memory: it does not fail
	_ = c.packer.Close()
	return packed.Bytes()
}

// renew gives up the connections after one of them broke, and what was loaded for them.
func (c *httpClient) renew() {
	c.http.CloseIdleConnections()
	c.http.Transport = c.renewed()
}

// Close implements [Client].
func (c *httpClient) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// brokenHTTP is a request that got no answer.
func brokenHTTP(ctx context.Context, err error) *Failure {
	f := &Failure{Reason: reasonConnection, Retry: true, Err: err}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		f.Reason = reasonTimeout
	}
	return f
}

// httpFailure applies the rules of the specification (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).
func httpFailure(r *http.Response, body []byte, now time.Time) *Failure {
	f := &Failure{Reason: strconv.Itoa(r.StatusCode), Err: errors.New(r.Status + explanation(r, body))}
	switch r.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.Retry = true
		f.After = bounded(retryAfter(r.Header.Get("Retry-After"), now))
	}
	return f
}

// explanation returns what the answer says besides its status: a Status, as the specification has it, or plain text.
func explanation(r *http.Response, body []byte) string {
	var text string
	switch contentType(r) {
	case protobuf:
		text = messageOf(body)
	case "text/plain", "application/json":
		text = string(body)
	}
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return ""
	}
	return ": " + text
}

func contentType(r *http.Response) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what cannot be parsed is no type
	return kind
}

// retryAfter reads a header of seconds or of a date; 0 if there is none.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second //nolint:gosec // of 31 bits
	}
	if at, err := http.ParseTime(header); err == nil {
		return at.Sub(now)
	}
	return 0
}
