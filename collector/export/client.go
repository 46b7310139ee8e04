// Package export sends what is queued to the upstream: over OTLP/gRPC or OTLP/HTTP, oldest first, one request at a time, and again until
// the upstream has taken it or refused it for good.
package export

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Client sends one request to the upstream. It is used by one goroutine.
type Client interface {
	// Send returns what the upstream answered, or a Failure if it did not take the request.
	Send(ctx context.Context, b otlp.Batch) (Answer, *Failure)
	// Close releases the connections.
	Close() error
}

// Answer is what an upstream says of a request that it took.
type Answer struct {
	Rejected int64  // points that it did not want, which are not to be sent again
	Message  string // why, or a warning
}

// Failure is why an upstream did not take a request.
type Failure struct {
	Reason  string        // a gRPC status, an HTTP code, or what went wrong on the way
	Passing bool          // it may be tried again
	After   time.Duration // and not before this, if the upstream said so; 5 minutes at most
	Cause   error
}

// Config says where the upstream is and how to reach it.
type Config struct {
	URL     string // http, https (TLS) or, for gRPC, unix
	Headers map[string]string
	Gzip    bool
	// TLS is called before each handshake, so that certificates can be renewed on disk.
	TLS func() (*tls.Config, error)
}

const userAgent = "poolgauge-sidecar"

// longestAfter bounds what an upstream may ask for: one mistake of its must not stop the export for a day.
const longestAfter = 5 * time.Minute

func bounded(after time.Duration) time.Duration { return min(max(after, 0), longestAfter) }

// answerOf reads the response to an export. One that is not OTLP is that of an upstream which took the request all the same, by its status.
func answerOf(body []byte) Answer {
	rejected, message, err := otlp.Rejected(body)
	if err != nil {
		message = fmt.Sprintf("the answer is not OTLP: %v", err)
	}
	return Answer{Rejected: rejected, Message: message}
}
