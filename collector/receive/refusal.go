package receive

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Reason is why a request was refused. The constants are the only values, so a Reason is suitable
// as an attribute.
type Reason string

// The reasons. After one of the first three, the client must not send the same request again.
const (
	Malformed   Reason = "malformed"   // not OTLP: INVALID_ARGUMENT, 400
	TooLarge    Reason = "too_large"   // RESOURCE_EXHAUSTED without RetryInfo, which is permanent; 413
	Unsupported Reason = "unsupported" // content type or compression, only in HTTP: 415
	Rate        Reason = "rate"        // more points than allowed: RESOURCE_EXHAUSTED, 429
	Full        Reason = "full"        // no room in the queue: RESOURCE_EXHAUSTED, 429
	Queue       Reason = "queue"       // Accept failed: UNAVAILABLE, 503
	Slow        Reason = "slow"        // the request did not arrive in time: DEADLINE_EXCEEDED, 408
	Canceled    Reason = "canceled"    // the client gave up: CANCELLED, 408
)

// statusCodes holds the status codes that OTLP specifies for each reason.
var statusCodes = map[Reason]struct {
	code codes.Code
	http int
}{
	Malformed:   {codes.InvalidArgument, http.StatusBadRequest},
	TooLarge:    {codes.ResourceExhausted, http.StatusRequestEntityTooLarge},
	Unsupported: {codes.Unimplemented, http.StatusUnsupportedMediaType},
	Rate:        {codes.ResourceExhausted, http.StatusTooManyRequests},
	Full:        {codes.ResourceExhausted, http.StatusTooManyRequests},
	Queue:       {codes.Unavailable, http.StatusServiceUnavailable},
	Slow:        {codes.DeadlineExceeded, http.StatusRequestTimeout},
	Canceled:    {codes.Canceled, http.StatusRequestTimeout},
}

// Refusal describes why a request was not accepted. An Accept function may return one to choose the
// response.
type Refusal struct {
	Reason     Reason
	RetryAfter time.Duration // how long to wait before a retry; 0: the client must not retry
	Message    string
}

// retryDelay is the default for [Refusal.RetryAfter].
const retryDelay = time.Second

// Error implements error.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Message }

// status returns the gRPC status. If the client may retry, the status includes RetryInfo, because
// RESOURCE_EXHAUSTED without RetryInfo means that the client must not retry.
func (r *Refusal) status() *status.Status {
	s := status.New(statusCodes[r.Reason].code, r.Error())
	if r.RetryAfter == 0 {
		return s
	}
	detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(r.RetryAfter)})
	if err != nil {
		return s // cannot happen: the code is not OK
	}
	return detailed
}

// respond writes the HTTP response, whose body is a status in JSON or protobuf.
func (r *Refusal) respond(w http.ResponseWriter, f format) {
	if r.RetryAfter > 0 {
		seconds := max(1, int64((r.RetryAfter+time.Second-1)/time.Second))
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	w.Header().Set("Content-Type", f.contentType)
	w.WriteHeader(statusCodes[r.Reason].http)
	// This fails only if the client has disconnected.
	_, _ = w.Write(f.status(&statuspb.Status{Code: int32(statusCodes[r.Reason].code), Message: r.Error()}))
}

// refusalOf converts err, an error of Accept or Enrich, to a refusal.
func refusalOf(ctx context.Context, err error) *Refusal {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, otlp.ErrMalformed):
		return &Refusal{Reason: Malformed, Message: err.Error()}
	case ctx.Err() != nil:
		return &Refusal{Reason: Canceled, Message: err.Error()}
	default:
		return &Refusal{Reason: Queue, RetryAfter: retryDelay, Message: err.Error()}
	}
}
