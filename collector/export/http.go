package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

const (
	protobuf      = "application/x-protobuf"
	longestAnswer = 64 << 10 // that is read
)

// httpClient sends OTLP as protobuf over HTTP/1.1.
type httpClient struct {
	urls    map[otlp.Signal]string
	headers map[string]string
	gzip    bool
	client  *http.Client
}

// NewHTTP returns a client of http/protobuf that connects when it first sends. The path of the signal, such as /v1/metrics, is appended to
// the URL, unless it ends with that of metrics.
func NewHTTP(cfg Config) (Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("expected a URL of http or https, got %q", cfg.URL)
	}
	c := &httpClient{urls: map[otlp.Signal]string{}, headers: cfg.Headers, gzip: cfg.Gzip}
	base := strings.TrimSuffix(strings.TrimSuffix(cfg.URL, "/"), "/v1/metrics")
	for _, s := range otlp.Signals() {
		c.urls[s] = base + s.Path()
	}
	c.client = &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: 90 * time.Second, DialTLSContext: dialer(cfg.TLS)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a POST must not become a GET
	}
	return c, nil
}

// dialer reads the certificates before each handshake.
func dialer(load func() (*tls.Config, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := load()
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
	}
}

// Send implements [Client].
func (c *httpClient) Send(ctx context.Context, b otlp.Batch) (Answer, *Failure) {
	request, err := c.request(ctx, b)
	if err != nil {
		return Answer{}, &Failure{Reason: "request", Cause: err}
	}
	response, err := c.client.Do(request)
	if err != nil {
		return Answer{}, httpBroken(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if response.StatusCode/100 != 2 {
		return Answer{}, httpFailure(response, body, time.Now())
	}
	if err != nil {
		return Answer{}, httpBroken(err)
	}
	if response.Header.Get("Content-Type") != protobuf {
		return Answer{}, nil // it took the request, and what it says is not for us
	}
	return answerOf(body), nil
}

func (c *httpClient) request(ctx context.Context, b otlp.Batch) (*http.Request, error) {
	body := b.Data
	if c.gzip {
		body = pack(body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.urls[b.Signal], bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", protobuf)
	request.Header.Set("User-Agent", userAgent)
	if c.gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	return request, nil
}

func pack(body []byte) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(body) // to memory: it does not fail
	_ = w.Close()
	return packed.Bytes()
}

// Close implements [Client].
func (c *httpClient) Close() error {
	c.client.CloseIdleConnections()
	return nil
}

// httpFailure applies the rules of the OTLP specification (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).
func httpFailure(r *http.Response, body []byte, now time.Time) *Failure {
	f := &Failure{Reason: strconv.Itoa(r.StatusCode), Cause: errors.New(r.Status + explanation(r, body))}
	switch r.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.Passing = true
		f.After = bounded(retryAfter(r.Header.Get("Retry-After"), now))
	}
	return f
}

// explanation returns what the body says, if it is a Status as the specification has it.
func explanation(r *http.Response, body []byte) string {
	var s statuspb.Status
	if r.Header.Get("Content-Type") != protobuf || proto.Unmarshal(body, &s) != nil || s.GetMessage() == "" {
		return ""
	}
	return ": " + s.GetMessage()
}

// retryAfter reads a header of seconds or of a date; 0 if there is none.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return at.Sub(now)
	}
	return 0
}

// httpBroken is a request that got no answer.
func httpBroken(err error) *Failure {
	f := &Failure{Reason: "connection", Passing: true, Cause: err}
	if errors.Is(err, context.DeadlineExceeded) {
		f.Reason = "timeout"
	}
	return f
}
