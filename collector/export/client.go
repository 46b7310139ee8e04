package export

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Client sends the requests of one lane to the upstream. It is safe for concurrent use.
type Client interface {
	// Send sends r and waits for the response until ctx is done. Its errors are of type [*Failure].
	Send(ctx context.Context, r Request) (Result, error)
	// Close closes the connections. The caller must not call Send afterwards.
	Close() error
}

// Request is what a [Client] sends.
type Request struct {
	Signal otlp.Signal
	Points int64    // data points, spans or log records in Data
	Data   [][]byte // a serialized Export…ServiceRequest, in pieces to concatenate
}

// Result is the upstream's response to a request that it accepted.
type Result struct {
	Rejected int64  // items that the upstream rejected; they must not be sent again
	Message  string // why items were rejected, or a warning if none were rejected; usually empty
}

// Kind determines how a failed request is handled.
type Kind int

// The kinds of failures. The package documentation says how each is handled.
const (
	Passing Kind = iota // may be retried unchanged
	Slow                // timed out: may be retried, preferably in parts
	Large               // too large: may be retried in parts
	Invalid             // malformed: is lost, but other batches in the same request may be accepted
	Split               // refused: held before it is lost, but other batches may be accepted
	// refused for a reason outside the request, such as credentials or a path: held before it is
	// lost, and never divided
	Held
)

// Failure is an error returned by [Client.Send].
type Failure struct {
	// a gRPC status such as UNAVAILABLE, an HTTP status such as 503, or, if there was no status,
	// one of timeout, connection and request
	Reason string
	Kind   Kind
	// the minimum wait before a retry, as requested by the upstream; at most 5 minutes, 0 if none
	// was requested
	After time.Duration
	Err   error // the cause
}

// Error implements error.
func (f *Failure) Error() string { return short(f.Err.Error()) }

// Unwrap returns the cause of the failure.
func (f *Failure) Unwrap() error { return f.Err }

// failureOf converts err, which must not be nil, to a Failure. An unknown error is of kind Held,
// since it would otherwise be retried forever.
func failureOf(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Reason: reasonRequest, Kind: Held, Err: err}
}

// The reasons of failures without a status.
const (
	reasonRequest    = "request"    // the request could not be created
	reasonConnection = "connection" // the connection could not be established, or was lost
	reasonTimeout    = "timeout"
)

// The protocols, as named in OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	GRPC         = "grpc"
	HTTPProtobuf = "http/protobuf"
)

// Config configures a client. Each lane has its own client, and therefore its own connections.
type Config struct {
	Protocol string // [GRPC] or [HTTPProtobuf]
	URL      string // http, https or, for gRPC, unix; for HTTP including the signal's path
	// Headers returns the headers to send. It is called for each request, so that a token rotated
	// on disk takes effect without a restart. Nil means no headers. An error counts as a failure
	// that may be retried.
	Headers     func() (map[string]string, error)
	Compression string        // a name defined by package compress; empty: none
	Timeout     time.Duration // limit for one request; must be positive
	UserAgent   string        // such as poolgauge-sidecar/1.0
	// RoundRobin spreads gRPC requests over all addresses of the host name. Without it, gRPC picks
	// one address at random.
	RoundRobin bool
	// TLS is called for each new connection to an https endpoint, so that a certificate rotated on
	// disk takes effect without a restart. It may be called concurrently. If TLS is nil or returns
	// nil, the system's CAs are trusted and no client certificate is used.
	TLS func() (*tls.Config, error)
}

// Upstream returns the URL without its path. It identifies the upstream.
func (c *Config) Upstream() string {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return c.URL
	}
	return u.Scheme + "://" + u.Host
}

// Dial returns a client, which connects when it sends its first request. Dial fails only if cfg is
// invalid.
func Dial(cfg Config) (Client, error) {
	if cfg.TLS == nil {
		cfg.TLS = func() (*tls.Config, error) { return nil, nil }
	}
	if cfg.Headers == nil {
		cfg.Headers = func() (map[string]string, error) { return nil, nil }
	}
	switch cfg.Protocol {
	case GRPC:
		return dialGRPC(cfg)
	case HTTPProtobuf:
		return dialHTTP(cfg)
	default:
		return nil, fmt.Errorf("protocol: expected %s or %s, got %q", GRPC, HTTPProtobuf, cfg.Protocol)
	}
}

// headers returns the headers to send with a request. If c.Headers fails, the error is a
// [*Failure].
func (c *Config) headers() (map[string]string, error) {
	h, err := c.Headers()
	if err != nil {
		return nil, &Failure{Reason: reasonRequest, Kind: Passing, Err: err}
	}
	return h, nil
}

// nowhere is the client of a lane that has no endpoint.
type nowhere struct{}

// Nowhere returns a client that rejects everything. It is for items left in the queue of a signal
// that no longer has an endpoint.
func Nowhere() Client { return nowhere{} }

// Send implements [Client].
func (nowhere) Send(_ context.Context, r Request) (Result, error) {
	return Result{}, &Failure{
		Reason: "no_endpoint",
		Kind:   Invalid,
		Err:    fmt.Errorf("no endpoint is configured for %s", r.Signal),
	}
}

// Close implements [Client].
func (nowhere) Close() error { return nil }

// maxRetryAfter caps the delay that an upstream may request, so that a misbehaving upstream cannot
// halt exports for a day.
const maxRetryAfter = 5 * time.Minute

func capRetryAfter(after time.Duration) time.Duration { return min(max(after, 0), maxRetryAfter) }

// maxMessage is how many bytes of an upstream's message are kept.
const maxMessage = 500

// short truncates text to maxMessage bytes and replaces invalid UTF-8, so that text can be logged.
func short(text string) string {
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}
