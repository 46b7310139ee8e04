package e2e

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// interval is the sampling interval of the tests with faults.
const interval = 200 * time.Millisecond

func startFaulty(t *testing.T, addr string, env ...string) *sidecar {
	t.Helper()
	return start(t, append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+addr, "OTEL_METRIC_EXPORT_INTERVAL=200"))
}

// failing returns a handler that answers the first n requests with err.
func failing(n int64, err error) otlptest.Handler {
	var calls atomic.Int64
	return func(context.Context, *otlptest.Request) (*otlptest.Response, error) {
		if calls.Add(1) <= n {
			return nil, err
		}
		return &otlptest.Response{}, nil
	}
}

// checkNothingLost checks that the batches are complete, in order and without duplicates. Every
// batch contains the number of points that the sidecar had accepted before it.
func checkNothingLost(t *testing.T, batches [][]otlptest.Point) {
	t.Helper()
	before := 0
	for i, batch := range batches {
		if accepted := outcome(batch, "accepted"); accepted != before {
			t.Fatalf("batch %d: %d points were accepted before it, but %d arrived", i, accepted, before)
		}
		before += len(batch)
	}
}

// checkKeptSampling checks that sampling did not wait for the upstream: at least half of the
// samples due in an outage must exist. If sampling had waited, there would be only one. The other
// half is a margin for slow machines.
func checkKeptSampling(t *testing.T, batches [][]otlptest.Point, from, to time.Time) {
	t.Helper()
	taken, due := 0, int(to.Sub(from)/interval)
	for _, batch := range batches {
		if at := batch[0].Time; at.After(from) && at.Before(to) {
			taken++
		}
	}
	if taken < due/2 {
		t.Errorf("%d samples in an outage of %v, want at least half of %d", taken, to.Sub(from), due)
	}
}

func checkLoggedOnce(t *testing.T, s *sidecar, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if n := s.count(text); n != 1 {
			t.Errorf("%q was logged %d times, want once", text, n)
		}
	}
}

const (
	loggedDown     = `upstream is not accepting items; they are queued" lane=own`
	loggedUp       = `upstream is accepting items again" lane=own`
	loggedRejected = "items permanently rejected"
	loggedPartial  = "upstream rejected some items"
)

// Samples that are collected before anything listens at the upstream's address arrive once an
// upstream starts.
func TestDownAtStart(t *testing.T) {
	addr, u, from := freeAddress(t), newUpstream(), time.Now()
	s := startFaulty(t, addr)
	s.awaitLog(loggedDown)
	u.listen(t, addr, nil)
	s.awaitLog(loggedUp)
	u.mu.Lock()
	to := u.arrived[0]
	u.mu.Unlock()
	batches := u.awaitSampledAfter(t, to)
	checkKeptSampling(t, batches, from, to)
	checkNothingLost(t, batches)
	checkLoggedOnce(t, s, loggedDown, loggedUp)
}

// Temporary faults of the upstream lose nothing.
func TestTemporaryFaults(t *testing.T) {
	exhausted, err := status.New(codes.ResourceExhausted, "try later").
		WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	hang := func(ctx context.Context, _ *otlptest.Request) (*otlptest.Response, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	slow := func(ctx context.Context, _ *otlptest.Request) (*otlptest.Response, error) {
		select { // the test needs a slow upstream
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
		return &otlptest.Response{}, ctx.Err()
	}
	for name, fault := range map[string]struct {
		times     int64
		answer    otlptest.Handler
		minOutage time.Duration
		silent    bool // no request fails, so nothing is logged
	}{
		"unavailable":           {2, failing(2, status.Error(codes.Unavailable, "no")), 2 * time.Second, false},
		"exhausted, retry info": {1, failing(1, exhausted.Err()), 2 * time.Second, false},
		"hangs":                 {2, hang, 2 * time.Second, false},
		"slow":                  {1, slow, 2 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream()
			var first, calls atomic.Int64
			r := u.listen(t, "127.0.0.1:0", func(ctx context.Context, r *otlptest.Request) (*otlptest.Response, error) {
				first.CompareAndSwap(0, time.Now().UnixNano())
				if calls.Add(1) <= fault.times {
					return fault.answer(ctx, r)
				}
				return &otlptest.Response{}, nil
			})
			s := startFaulty(t, r.Addr, "OTEL_EXPORTER_OTLP_TIMEOUT=3000")
			u.awaitBatches(t, 1)
			u.mu.Lock()
			from, to := time.Unix(0, first.Load()), u.arrived[0]
			u.mu.Unlock()
			if to.Sub(from) < fault.minOutage {
				t.Errorf(
					"the first batch was accepted %v after the first request, want at least %v",
					to.Sub(from),
					fault.minOutage,
				)
			}
			batches := u.awaitSampledAfter(t, to)
			checkKeptSampling(t, batches, from, to)
			checkNothingLost(t, batches)
			if fault.silent {
				return
			}
			s.awaitLog(loggedUp)
			checkLoggedOnce(t, s, loggedDown, loggedUp)
		})
	}
}

// A batch that the upstream will never accept is dropped and counted, and does not delay later
// batches. A failure that a rollout may cause is retried for the time set by --upstream-hold: if
// that is 0, the batch is lost immediately; by default it survives.
func TestPermanentFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault  error
		hold   string
		lost   bool
		logged []string
	}{
		"invalid":               {status.Error(codes.InvalidArgument, "bad"), "5m", true, []string{loggedRejected}},
		"unauthenticated":       {status.Error(codes.Unauthenticated, "no"), "0", true, []string{loggedRejected, loggedUp}},
		"unimplemented":         {status.Error(codes.Unimplemented, "what"), "0", true, []string{loggedRejected, loggedUp}},
		"unauthenticated, held": {status.Error(codes.Unauthenticated, "no"), "5m", false, []string{loggedDown, loggedUp}},
		"not found, held":       {status.Error(codes.NotFound, "not yet"), "5m", false, []string{loggedDown, loggedUp}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream()
			var lost, calls atomic.Int64
			r := u.listen(t, "127.0.0.1:0", func(_ context.Context, r *otlptest.Request) (*otlptest.Response, error) {
				if calls.Add(1) <= 3 {
					if c.lost {
						lost.Add(int64(otlptest.Count(r)))
					}
					return nil, c.fault
				}
				return &otlptest.Response{}, nil
			})
			s := startFaulty(t, r.Addr, "POOLGAUGE_UPSTREAM_HOLD="+c.hold)
			u.awaitBatches(t, 3)
			s.awaitLog(c.logged[len(c.logged)-1])
			u.mu.Lock()
			n := len(u.batches)
			u.mu.Unlock()
			batches := u.awaitBatches(t, n+8) // including some collected since then
			last := batches[len(batches)-1]
			if rejected := outcome(last, "rejected"); rejected != int(lost.Load()) {
				t.Errorf("%d points counted as rejected, want %d", rejected, lost.Load())
			}
			checkAccount(t, last)
			checkLoggedOnce(t, s, c.logged...)
		})
	}
}

// If the upstream accepts only a part of a batch, the rejected points are counted and not sent
// again.
func TestPartialSuccess(t *testing.T) {
	u := newUpstream()
	r := u.listen(t, "127.0.0.1:0", func(context.Context, *otlptest.Request) (*otlptest.Response, error) {
		return &otlptest.Response{
			PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
				RejectedDataPoints: 3,
				ErrorMessage:       "three too many",
			},
		}, nil
	})
	s := startFaulty(t, r.Addr)
	batches := u.awaitBatches(t, 5)
	checkNothingLost(t, batches)
	checkAccount(t, batches[4])
	if rejected := outcome(batches[4], "rejected"); rejected == 0 || rejected%3 != 0 {
		t.Errorf("%d points counted as rejected, want three per batch", rejected)
	}
	checkLoggedOnce(t, s, loggedPartial)
}

// checkAccount checks that every accepted point is accounted for.
func checkAccount(t *testing.T, batch []otlptest.Point) {
	t.Helper()
	queued := find(batch, "poolgauge.relay.queue.points", "poolgauge.relay.lane", "own")
	if len(queued) != 1 {
		t.Fatalf("%d points of poolgauge.relay.queue.points, want 1", len(queued))
	}
	sum := outcome(batch, "sent") + outcome(batch, "rejected") + outcome(batch, "dropped") + int(queued[0].Value)
	if accepted := outcome(batch, "accepted") + outcome(batch, "recovered"); accepted != sum {
		t.Errorf("%d points accepted, but sent, rejected, dropped and queued add up to %d", accepted, sum)
	}
}
