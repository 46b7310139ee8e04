package e2e

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// signals are the signals that an app sends, and the sidecar's own metrics.
var signals = []string{"metrics", "traces", "logs", "own"}

// stamped returns a request of a signal whose records have the current time.
func stamped(t *testing.T, signal string) (method string, body []byte) {
	t.Helper()
	now := uint64(time.Now().UnixNano())
	var message proto.Message
	switch signal {
	case "metrics":
		r := sequenceRequest(0, 0)
		for _, p := range r.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetGauge().GetDataPoints() {
			p.TimeUnixNano = now
		}
		r.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].Name = "stamped"
		method, message = metricsMethod, r
	case "traces":
		method = tracesMethod
		message = &tracepb.TracesData{
			ResourceSpans: []*tracepb.ResourceSpans{
				{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{StartTimeUnixNano: now}}}}},
			},
		}
	default:
		method = logsMethod
		message = &logspb.LogsData{
			ResourceLogs: []*logspb.ResourceLogs{
				{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{TimeUnixNano: now}}}}},
			},
		}
	}
	body, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return method, body
}

// stamps returns the signal of a delivery, and the time of its oldest record.
func stamps(t *testing.T, d delivery) (signal string, oldest time.Time) {
	t.Helper()
	see := func(ns uint64) {
		if at := time.Unix(0, int64(ns)); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	var err error
	switch d.method {
	case tracesMethod:
		signal = "traces"
		r := &tracepb.TracesData{}
		err = proto.Unmarshal(d.data, r)
		for _, group := range r.GetResourceSpans() {
			see(group.GetScopeSpans()[0].GetSpans()[0].GetStartTimeUnixNano())
		}
	case logsMethod:
		signal = "logs"
		r := &logspb.LogsData{}
		err = proto.Unmarshal(d.data, r)
		for _, group := range r.GetResourceLogs() {
			see(group.GetScopeLogs()[0].GetLogRecords()[0].GetTimeUnixNano())
		}
	default:
		signal = "own"
		r := &colmetricpb.ExportMetricsServiceRequest{}
		err = proto.Unmarshal(d.data, r)
		for p := range otlptest.Points(r) {
			if p.Metric == "stamped" {
				signal = "metrics"
			}
			see(uint64(p.Time.UnixNano()))
		}
	}
	if err != nil {
		t.Errorf("decoding a request: %v", err)
	}
	return signal, oldest
}

// ages holds, by signal, the age of the oldest record on its arrival at the upstream, and the
// number of requests.
type ages struct {
	mu       sync.Mutex // guards the fields below
	oldest   map[string]time.Duration
	requests map[string]int
}

func (a *ages) record(signal string, age time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.oldest[signal] = max(a.oldest[signal], age)
	a.requests[signal]++
}

// swap returns the recorded values, and resets them.
func (a *ages) swap() (oldest map[string]time.Duration, requests map[string]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	oldest, requests = a.oldest, a.requests
	a.oldest, a.requests = map[string]time.Duration{}, map[string]int{}
	return oldest, requests
}

// laneFaults are faults of an upstream that affect one signal.
var laneFaults = map[string]func(context.Context) error{
	"503":   func(context.Context) error { return status.Error(codes.Unavailable, "503") },
	"401":   func(context.Context) error { return status.Error(codes.Unauthenticated, "401") },
	"404":   func(context.Context) error { return status.Error(codes.Unimplemented, "404") },
	"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	"100 ms": func(ctx context.Context) error {
		select { // the test needs the delay
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
		return ctx.Err()
	},
}

// Whatever the upstream does to one signal, the others and the sidecar's own metrics arrive without
// delay.
func TestRelayLanesAreIndependent(t *testing.T) {
	const interval = 500 * time.Millisecond
	for _, bad := range signals {
		for _, where := range []string{"memory", "disk"} {
			t.Run(bad+" "+where, func(t *testing.T) {
				t.Parallel()
				up := newSink(t)
				seen := &ages{}
				seen.swap()
				var mu sync.Mutex
				var fault func(context.Context) error
				f := func(ctx context.Context, d delivery) ([]byte, error) {
					signal, oldest := stamps(t, d)
					mu.Lock()
					answer := fault
					mu.Unlock()
					if signal == bad && answer != nil {
						if err := answer(ctx); err != nil {
							return nil, err
						}
					}
					seen.record(signal, time.Since(oldest))
					return nil, nil
				}
				up.fault.Store((*faultOf)(&f))
				args := []string{"--interval=500ms"}
				if where == "disk" {
					args = append(args, "--queue-dir="+t.TempDir())
				}
				s := newRelay(t, up.listen("127.0.0.1:0"), args...).start()
				conn := dial(t, s.target)
				stampAll(t, conn, time.Second)
				for name, answer := range laneFaults {
					mu.Lock()
					fault = answer
					mu.Unlock()
					seen.swap()
					stampAll(t, conn, pick(3*time.Second, 15*time.Second))
					oldest, requests := seen.swap()
					for _, signal := range signals {
						limit := 2 * time.Second
						if signal == "own" {
							limit = 2 * interval
						}
						if signal != bad && (oldest[signal] > limit || requests[signal] == 0) {
							t.Errorf(
								"%s: records of %s were up to %v old in %d requests, want at most %v",
								name,
								signal,
								oldest[signal],
								requests[signal],
								limit,
							)
						}
					}
					t.Logf("%s of %s: %s", name, bad, describeAges(oldest))
				}
			})
		}
	}
}

// An upstream of one signal that reads a kilobyte a second, and never answers, delays no other
// signal.
func TestRelaySlowReaderOfOneSignal(t *testing.T) {
	for _, bad := range []string{"traces", "logs"} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			up := newSink(t)
			seen := &ages{}
			seen.swap()
			watch := fault(func(_ context.Context, d delivery) ([]byte, error) {
				signal, oldest := stamps(t, d)
				seen.record(signal, time.Since(oldest))
				return nil, nil
			})
			up.fault.Store(&watch)
			s := newRelay(
				t,
				up.listen("127.0.0.1:0"),
				"--interval=500ms",
				"--queue-dir="+t.TempDir(),
				"--otlp-"+bad+"-endpoint=http://"+slowReader(t),
			).start()
			stampAll(t, dial(t, s.target), pick(5*time.Second, time.Minute))
			oldest, requests := seen.swap()
			for _, signal := range signals {
				if signal != bad && (oldest[signal] > time.Second || requests[signal] == 0) {
					t.Errorf(
						"records of %s were up to %v old in %d requests, want at most 1s",
						signal,
						oldest[signal],
						requests[signal],
					)
				}
			}
			t.Log(describeAges(oldest))
		})
	}
}

// slowReader accepts connections and reads 1 kB/s from each.
func slowReader(t *testing.T) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go func() {
				for b := make([]byte, 100); err == nil; _, err = conn.Read(b) {
					time.Sleep(100 * time.Millisecond) // the test needs the slow pace
				}
			}()
		}
	}()
	return l.Addr().String()
}

// faultOf is [fault] under another name, since a local variable shadows it.
type faultOf = fault

func describeAges(oldest map[string]time.Duration) (text string) {
	for _, signal := range signals {
		text += fmt.Sprintf("%s %v  ", signal, oldest[signal].Round(time.Millisecond))
	}
	return text
}

// stampAll sends a stamped request of each of the app's signals every 50 ms, for the duration d.
func stampAll(t *testing.T, conn *grpc.ClientConn, d time.Duration) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(d); ; {
		for _, signal := range signals[:3] {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			method, body := stamped(t, signal)
			err := invoke(ctx, conn, method, body)
			cancel()
			if err != nil {
				t.Fatalf("sending %s: %v", signal, err)
			}
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}
