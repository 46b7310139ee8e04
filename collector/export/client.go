// Package export sends what is queued to the upstream: over OTLP/gRPC or OTLP/HTTP, oldest first, one request at a time, and again until
// the upstream has taken it or refused it for good.
package export

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Client sends requests to the upstream. It is used by one goroutine.
type Client interface {
	// Send sends one request. An error is a [*Failure]; ctx bounds how long it takes.
	Send(ctx context.Context, b otlp.Batch) (Result, error)
	// Close releases the connections.
	Close() error
}

// Result is what an upstream says of a request that it took.
type Result struct {
	Rejected int64  // points of it that the upstream did not want; they are not to be sent again
	Message  string // why, or a warning if none was rejected; usually empty
}

// Failure is why an upstream did not take a request.
type Failure struct {
	Reason string        // a gRPC status such as UNAVAILABLE, an HTTP code such as 503, or timeout, connection, request: what went wrong on this side
	Retry  bool          // it may pass: the request can be sent again
	After  time.Duration // but not before this, which the upstream asked for; at most 5 minutes, 0 if it did not
	Err    error         // in words
}

// Error implements error.
func (f *Failure) Error() string { return short(f.Err.Error()) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// failureOf returns what err, which is not nil, is as a failure. One that no client knows is for good: it would be retried for ever.
func failureOf(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Reason: reasonRequest, Err: err}
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

// Config says where the upstream is and how to reach it.
type Config struct {
	Protocol  string                   // [GRPC] or [HTTPProtobuf]
	Endpoints map[otlp.Signal]Endpoint // a batch of a signal that has none is refused
	Gzip      bool
	UserAgent string // such as poolgauge-sidecar/1.0
	// TLS is called for each new connection to an https endpoint, so that certificates can be renewed on disk; it may be called at the same time
	// as anything else. Nil, and a nil configuration, stand for the system's authorities and no certificate of one's own.
	TLS func() (*tls.Config, error)
}

// Endpoint is where the batches of one signal go.
type Endpoint struct {
	URL     string // http, https (TLS) or, for gRPC, unix; for HTTP with the signal's path
	Headers map[string]string
}

// Dial returns a client, which connects when it first sends. An error is about cfg.
func Dial(cfg Config) (Client, error) {
	if cfg.TLS == nil {
		cfg.TLS = func() (*tls.Config, error) { return nil, nil }
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

// noEndpoint is the failure of a signal that has nowhere to go.
func noEndpoint(s otlp.Signal) *Failure {
	return &Failure{Reason: reasonRequest, Err: fmt.Errorf("there is no endpoint for %s", s)}
}

// longestAfter bounds what an upstream may ask for: one mistake of its must not stop the export for a day.
const longestAfter = 5 * time.Minute

func bounded(after time.Duration) time.Duration { return min(max(after, 0), longestAfter) }

// longestText is how much of an upstream's words is kept, in bytes.
const longestText = 500

// short makes text of any length and kind fit for a line of log.
func short(text string) string {
	if len(text) > longestText {
		text = text[:longestText] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}
