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

// Client sends requests of one lane to the upstream. It is safe for concurrent use.
type Client interface {
	// Send sends one request. An error is a [*Failure]; ctx bounds how long it takes.
	Send(ctx context.Context, r Request) (Result, error)
	// Close closes the connections. Send must not be called afterwards.
	Close() error
}

// Request is what a [Client] sends.
type Request struct {
	Signal otlp.Signal
	Points int64    // data points, spans or log records in Data
	Data   [][]byte // a serialized Export…ServiceRequest, in pieces
}

// Result is the upstream's answer to a request that it accepted.
type Result struct {
	Rejected int64  // items that the upstream rejected; they must not be sent again
	Message  string // why, or a warning if none was rejected; usually empty
}

// Kind is the way a failed request is retried.
type Kind int

// The kinds of failures.
const (
	Passing Kind = iota // it may be sent again, as it is
	Slow                // there was no answer in time: it may be sent again, better in parts
	Large               // it is too large: it may be sent again in parts
	Invalid             // it is not understood: it is lost, but what it was joined with may be taken
	Split               // it was refused, and what it was joined with may be taken: it is held before it is lost
	// it was refused for what is not in it, such as a password or a path: it is held before it is
	// lost, and sent whole
	Held
)

// Failure is an error of [Client.Send].
type Failure struct {
	// a gRPC status such as UNAVAILABLE, an HTTP code such as 503, or timeout, connection, request:
	// what went wrong on this side
	Reason string
	Kind   Kind
	// it is not to be sent again before this, which the upstream asked for; at most 5 minutes, 0 if
	// it did not
	After time.Duration
	Err   error // in words
}

// Error implements error.
func (f *Failure) Error() string { return short(f.Err.Error()) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// failureOf returns what err, which is not nil, is as a failure. An unknown one is held: it would
// be retried for ever.
func failureOf(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Reason: reasonRequest, Kind: Held, Err: err}
}

// The reasons of failures that have no status.
const (
	reasonRequest    = "request"    // it could not be made
	reasonConnection = "connection" // there is none, or it broke
	reasonTimeout    = "timeout"
)

// The protocols, as OTEL_EXPORTER_OTLP_PROTOCOL has them.
const (
	GRPC         = "grpc"
	HTTPProtobuf = "http/protobuf"
)

// Config configures a client. Each lane has its own client, and so its own connections.
type Config struct {
	Protocol string // [GRPC] or [HTTPProtobuf]
	URL      string // http, https (TLS) or, for gRPC, unix; for HTTP with the signal's path
	// Headers returns what is sent with a request; it is called for each, so that a token can be
	// renewed on disk. Nil: none. An error is a failure that may pass.
	Headers     func() (map[string]string, error)
	Compression string        // one of package compress; empty: none
	Timeout     time.Duration // of one request; > 0
	UserAgent   string        // such as poolgauge-sidecar/1.0
	// RoundRobin spreads requests over all addresses of a name, where gRPC otherwise takes one of
	// them at random.
	RoundRobin bool
	// TLS is called for each new connection to an https endpoint, so that certificates can be
	// renewed on disk; it may be called at the same time as anything else. Nil, and a nil
	// configuration, stand for the system's authorities and no client certificate.
	TLS func() (*tls.Config, error)
}

// Upstream names what requests go to: the URL without its path.
func (c *Config) Upstream() string {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return c.URL
	}
	return u.Scheme + "://" + u.Host
}

// Dial returns a client, which connects when it first sends. An error is about cfg.
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

// headers returns what is sent with a request, or why that cannot be known.
func (c *Config) headers() (map[string]string, error) {
	h, err := c.Headers()
	if err != nil {
		return nil, &Failure{Reason: reasonRequest, Kind: Passing, Err: err}
	}
	return h, nil
}

// nowhere is the client of a lane without an endpoint.
type nowhere struct{}

// Nowhere returns a client that rejects everything, for items left in the queue of a signal that no
// longer has an endpoint.
func Nowhere() Client { return nowhere{} }

// Send implements [Client].
func (nowhere) Send(_ context.Context, r Request) (Result, error) {
	return Result{}, &Failure{
		Reason: "no_endpoint",
		Kind:   Invalid,
		Err:    fmt.Errorf("there is no endpoint for %s", r.Signal),
	}
}

// Close implements [Client].
func (nowhere) Close() error { return nil }

// longestAfter bounds the wait that an upstream may ask for: its mistake must not stop the export
// for a day.
const longestAfter = 5 * time.Minute

func bounded(after time.Duration) time.Duration { return min(max(after, 0), longestAfter) }

// longestText is how much of an upstream's message is kept, in bytes.
const longestText = 500

// short makes text of any length and encoding fit for a log line.
func short(text string) string {
	if len(text) > longestText {
		text = text[:longestText] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}
