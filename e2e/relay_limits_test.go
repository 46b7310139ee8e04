package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// invoke calls a method with an encoded message.
func invoke(ctx context.Context, conn *grpc.ClientConn, method string, body []byte) error {
	var answer []byte
	return conn.Invoke(ctx, method, body, &answer, grpc.ForceCodecV2(bytesCodec{}), grpc.WaitForReady(true))
}

// large returns a valid request of at least n bytes.
func large(n int) []byte {
	body, _ := proto.Marshal(sequenceRequest(0, n)) // a valid message always marshals
	return body
}

// checkStatus checks the status that a gRPC client receives, and whether it may retry.
func checkStatus(t *testing.T, err error, code codes.Code, reason string, retry bool) {
	t.Helper()
	s := status.Convert(err)
	hint := false
	for _, detail := range s.Details() {
		info, ok := detail.(*errdetails.RetryInfo)
		hint = hint || ok && info.GetRetryDelay().AsDuration() > 0
	}
	if s.Code() != code || !strings.Contains(s.Message(), reason) || hint != retry {
		t.Errorf("got %v with retry info %v, want %v, %q, %v", err, hint, code, reason, retry)
	}
}

// checkHTTP is like checkStatus, but for an HTTP client.
func checkHTTP(t *testing.T, err error, code int, reason string, retry bool) {
	t.Helper()
	var s *httpStatus
	if !errors.As(err, &s) || s.code != code || !strings.Contains(s.body, reason) ||
		(s.header.Get("Retry-After") != "") != retry {
		t.Errorf("got %v, want %d, %q, Retry-After %v", err, code, reason, retry)
	}
}

// A rejected request gets the status that OTLP defines, with the reason, and is counted as refused.
// All other requests arrive.
func TestRelayRefusals(t *testing.T) {
	up, a := newSink(t), &app{}
	s := newRelay(t, up.listen("127.0.0.1:0"), "--interval=200ms").start()
	ctx, conn, url := t.Context(), dial(t, s.target), "http://"+s.httpAddress+"/v1/metrics"
	const protobuf, json = "application/x-protobuf", "application/json"

	checkStatus(t, invoke(ctx, conn, metricsMethod, large(5<<20)), codes.ResourceExhausted, "", false)
	checkStatus(t, invoke(ctx, conn, metricsMethod, []byte("no protobuf")), codes.InvalidArgument, "malformed", false)
	checkStatus(
		t,
		invoke(ctx, conn, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", nil),
		codes.Unimplemented,
		"",
		false,
	)
	checkHTTP(t, post(ctx, url, protobuf, "", large(5<<20)), http.StatusRequestEntityTooLarge, "too_large", false)
	checkHTTP(
		t,
		post(ctx, url, protobuf, "gzip", gzipped(make([]byte, 64<<20))),
		http.StatusRequestEntityTooLarge,
		"too_large",
		false,
	)
	checkHTTP(t, post(ctx, url, protobuf, "", []byte("no protobuf")), http.StatusBadRequest, "malformed", false)
	checkHTTP(t, post(ctx, url, protobuf, "gzip", []byte("no gzip")), http.StatusBadRequest, "malformed", false)
	checkHTTP(t, post(ctx, url, json, "", []byte(`{"resourceMetrics": 7}`)), http.StatusBadRequest, "malformed", false)
	checkHTTP(t, post(ctx, url, "text/plain", "", nil), http.StatusUnsupportedMediaType, "unsupported", false)
	checkHTTP(t, post(ctx, "http://"+s.httpAddress+"/v1/profiles", protobuf, "", nil), http.StatusNotFound, "", false)

	a.sendAll(t, 8, s.all()...)
	up.awaitAll(a.acknowledged())
	last := up.awaitAccount("with refusals", func(a account) bool {
		for _, reason := range []string{"malformed", "too_large", "unsupported"} {
			if _, ok := a.reasons["refused "+reason]; !ok {
				return false
			}
		}
		return true
	})
	if last.dropped != 0 || last.rejected != 0 {
		t.Errorf("%d points dropped and %d rejected, want none", last.dropped, last.rejected)
	}
	up.checkOnce()
	up.checkAccounts()
}

// A request that is larger than the queue is permanently rejected.
func TestRelayLargerThanTheQueue(t *testing.T) {
	s := newRelay(t, freeAddress(t), "--queue-size=1MiB").start()
	checkStatus(
		t,
		invoke(t.Context(), dial(t, s.target), metricsMethod, large(2<<20)),
		codes.ResourceExhausted,
		"too_large",
		false,
	)
	checkHTTP(
		t,
		post(t.Context(), "http://"+s.httpAddress+"/v1/metrics", "application/x-protobuf", "", large(2<<20)),
		http.StatusRequestEntityTooLarge,
		"too_large",
		false,
	)
}

// Above the rate, clients are told when to retry, and every refused point is counted. The sidecar's
// own points are not limited.
func TestRelayRate(t *testing.T) {
	up, a := newSink(t), &app{}
	s := newRelay(t, up.listen("127.0.0.1:0"), "--relay-rate=1", "--interval=200ms").start()
	// A request has ten points, and the credit is limited to that of one second. One request
	// passes, and it takes ten seconds to earn the credit for the next one.
	a.sendAll(t, 1, s.socket)
	checkStatus(t, a.send(t.Context(), s.grpc), codes.ResourceExhausted, "rate", true)
	checkStatus(t, a.send(t.Context(), s.socket), codes.ResourceExhausted, "rate", true)
	checkHTTP(t, a.send(t.Context(), s.http), http.StatusTooManyRequests, "rate", true)
	checkHTTP(t, a.send(t.Context(), s.json), http.StatusTooManyRequests, "rate", true)
	last := up.awaitAccount("with refusals", func(a account) bool { return a.refused > 0 && a.sent > 0 })
	if want := 4 * pointsPerRequest; last.refused != want || last.reasons["refused rate"] != want {
		t.Errorf("%d points counted as refused (%v), want %d", last.refused, last.reasons, want)
	}
	up.awaitAll(a.acknowledged())
	up.checkOnce()
}
