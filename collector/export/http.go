package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/collector/compress"
)

const (
	protobuf        = "application/x-protobuf"
	maxHTTPResponse = 64 << 10         // maximum number of bytes read of a response
	idleTimeout     = 90 * time.Second // how long unused connections stay open
)

// httpClient sends OTLP as protobuf over HTTP/1.1.
type httpClient struct {
	cfg       Config
	transport atomic.Pointer[http.Transport]
}

func dialHTTP(cfg Config) (Client, error) {
	if u, err := url.Parse(cfg.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("endpoint: expected an http or https URL for %s, got %q", HTTPProtobuf, cfg.URL)
	}
	c := &httpClient{cfg: cfg}
	c.transport.Store(newTransport(&c.cfg))
	return c, nil
}

// noRedirect makes the client return redirects instead of following them. Following a redirect
// could turn the request into a GET, which looks like success, or reveal the request's headers to
// another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newTransport returns a transport that keeps few idle connections. It loads certificates at each
// handshake or, if there is a proxy, only once, since the standard library then performs the
// handshakes.
func newTransport(cfg *Config) *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialTLSContext:         dialTLS(cfg.TLS),
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHTTPResponse,
	}
	if config, err := cfg.TLS(); err == nil {
		t.TLSClientConfig = config
	}
	return t
}

// Send implements [Client].
func (c *httpClient) Send(ctx context.Context, r Request) (Result, error) {
	request, err := c.request(ctx, r)
	if err != nil {
		return Result{}, err
	}
	transport := c.transport.Load()
	response, err := (&http.Client{Transport: transport, CheckRedirect: noRedirect}).Do(request)
	if err != nil {
		c.renew(transport)
		return Result{}, transportFailure(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxHTTPResponse))
	switch {
	case response.StatusCode/100 != 2:
		return Result{}, httpFailure(response, body, time.Now())
	case contentType(response) == "text/html": // a proxy's login page, for example
		return Result{}, &Failure{
			Reason: "html",
			Kind:   Held,
			Err:    fmt.Errorf("%s with an HTML page: not an OTLP endpoint", response.Status),
		}
	case err != nil || contentType(response) != protobuf:
		return Result{}, nil // accepted; the rest of the response does not matter
	}
	return resultOf(body), nil
}

func (c *httpClient) request(ctx context.Context, r Request) (*http.Request, error) {
	headers, err := c.cfg.headers()
	if err != nil {
		return nil, err
	}
	body, packed := joined(r.Data), c.cfg.Compression != compress.None && c.cfg.Compression != ""
	if packed {
		if body, err = compress.Pack(c.cfg.Compression, body); err != nil {
			return nil, &Failure{Reason: reasonRequest, Kind: Held, Err: err}
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, &Failure{Reason: reasonRequest, Kind: Held, Err: err}
	}
	if packed {
		request.Header.Set("Content-Encoding", c.cfg.Compression)
	}
	request.Header.Set("User-Agent", c.cfg.UserAgent)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", protobuf)
	return request, nil
}

// joined concatenates the pieces.
func joined(pieces [][]byte) []byte {
	if len(pieces) == 1 {
		return pieces[0]
	}
	return bytes.Join(pieces, nil)
}

// renew replaces failed, the transport of a request that got no response, unless another request
// has already replaced it. The new transport loads the certificates again. Requests in flight on
// other connections continue.
func (c *httpClient) renew(failed *http.Transport) {
	if c.transport.CompareAndSwap(failed, newTransport(&c.cfg)) {
		failed.CloseIdleConnections()
	}
}

// Close implements [Client].
func (c *httpClient) Close() error {
	c.transport.Load().CloseIdleConnections()
	return nil
}

// transportFailure returns the failure of a request that got no response.
func transportFailure(ctx context.Context, err error) *Failure {
	f := &Failure{Reason: reasonConnection, Kind: Passing, Err: err}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		f.Reason, f.Kind = reasonTimeout, Slow
	}
	return f
}

// httpFailure classifies a response according to the specification
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response), except that some requests are
// held.
func httpFailure(r *http.Response, body []byte, now time.Time) *Failure {
	f := &Failure{Reason: strconv.Itoa(r.StatusCode), Kind: Held, Err: errors.New(r.Status + explanation(r, body))}
	switch r.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.Kind = Passing
		f.After = capRetryAfter(retryAfter(r.Header.Get("Retry-After"), now))
	case http.StatusRequestEntityTooLarge:
		f.Kind = Large
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		f.Kind = Invalid
	case http.StatusInternalServerError:
		f.Kind = Split
	}
	return f
}

// explanation returns what body says about the failure: the message of a google.rpc.Status, as OTLP
// specifies, or plain text.
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
	// A media type that cannot be parsed counts as none.
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind
}

// retryAfter parses header, the value of Retry-After, as seconds or a date. It returns 0 if header
// is neither.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second //nolint:gosec // 31 bits
	}
	if at, err := http.ParseTime(header); err == nil {
		return at.Sub(now)
	}
	return 0
}
