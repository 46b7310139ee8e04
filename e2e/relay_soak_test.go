package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// toxic is an upstream that fails in many ways in turn, and records the requests that it
// permanently rejected.
type toxic struct {
	sink     *sink
	mu       sync.Mutex // guards the fields below
	calls    int
	behaved  map[string]int
	unwanted map[int64]bool // numbers of the permanently rejected requests
	rejected int            // points
}

func (x *toxic) answer(ctx context.Context, d delivery) ([]byte, error) {
	if slices.ContainsFunc(d.seqs, bad) {
		return nil, x.refuse(d)
	}
	x.mu.Lock()
	x.calls++
	behaviors := []string{
		"ok",
		"slow",
		"ok",
		"partial",
		"ok",
		"exhausted, retry info",
		"ok",
		"invalid",
		"invalid",
		"ok",
		"exhausted",
		"ok",
		"reset",
		"ok",
		"half-open",
	}
	behavior := behaviors[x.calls%len(behaviors)]
	x.behaved[behavior]++
	x.mu.Unlock()
	switch behavior {
	case "slow":
		return nil, after(ctx, 300*time.Millisecond)
	case "partial":
		return x.partial(d)
	case "exhausted, retry info":
		later, err := status.New(codes.ResourceExhausted, "try later").
			WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(100 * time.Millisecond)})
		if err != nil {
			return nil, err
		}
		return nil, later.Err()
	case "exhausted":
		return nil, status.Error(codes.ResourceExhausted, "too much at once")
	case "invalid":
		return nil, x.refuse(d)
	case "reset":
		x.sink.conns.reset(d.conn)                          // others may have an answer in transit
		return nil, status.Error(codes.Unavailable, "gone") // the client is gone
	case "half-open":
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return nil, nil
	}
}

// bad reports whether the upstream permanently rejects request seq, which must not affect other
// requests.
func bad(seq int64) bool { return seq%10_000 == 7 }

// after simulates a slow upstream. It waits for d or until ctx is done.
func after(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// partial accepts all points of a request but one.
func (x *toxic) partial(d delivery) ([]byte, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(d.seqs) > 0 { // the sidecar's own points are in another lane
		x.rejected++
	}
	return proto.Marshal(&colmetricpb.ExportMetricsServiceResponse{
		PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{RejectedDataPoints: 1, ErrorMessage: "one too many"},
	})
}

// refuse permanently rejects a request. The sidecar sends a joined request again batch by batch, so
// that only a single batch is lost.
func (x *toxic) refuse(d delivery) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if d.batches == 1 && len(d.seqs) > 0 {
		x.rejected += d.points
		for _, seq := range d.seqs {
			x.unwanted[seq] = true
		}
	}
	return status.Error(codes.InvalidArgument, "never")
}

// gone reports whether a request was or will be permanently rejected.
func (x *toxic) gone(seq int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return bad(seq) || x.unwanted[seq]
}

func (x *toxic) rejections() (points int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rejected
}

// Whatever an upstream does, no acknowledged request is lost unless the upstream permanently
// rejected it. Every collection accounts for every point, and the sidecar's memory does not grow.
func TestRelaySoak(t *testing.T) {
	up, a := newSink(t), &app{}
	x := &toxic{sink: up, behaved: map[string]int{}, unwanted: map[int64]bool{}}
	toxicAnswer := fault(x.answer)
	up.fault.Store(&toxicAnswer)
	// The queue is large enough for the requests that arrive while the sidecar waits between
	// attempts.
	r := newRelay(t, up.listen("127.0.0.1:0"), "--queue-dir="+t.TempDir(), "--interval="+pick("200ms", "1s"),
		"--otlp-timeout="+pick("1s", "3s"), "--queue-size=64MiB")
	s := r.start()
	ctx, stop := context.WithTimeout(t.Context(), pick(5*time.Second, 10*time.Minute))
	defer stop()
	wait := a.load(ctx, 20*time.Millisecond, s.all()...)
	memory := s.watchMemory(ctx)
	wait()
	healed := fault(func(_ context.Context, d delivery) ([]byte, error) {
		if slices.ContainsFunc(d.seqs, bad) {
			return nil, x.refuse(d)
		}
		return nil, nil
	})
	up.fault.Store(&healed)

	acked := a.acknowledged()
	var wanted []int64
	for _, seq := range acked {
		if !x.gone(seq) {
			wanted = append(wanted, seq)
		}
	}
	up.awaitAll(wanted)
	end := time.Now()
	last := up.awaitAccount(
		"at the end",
		func(a account) bool { return a.at.After(end) && a.rejected == x.rejections() },
	)
	s.terminate()
	up.checkOnce()
	up.checkAccounts()
	up.mu.Lock() // for the checks below
	defer up.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.unwanted[7] {
		t.Error("the upstream received no request that it permanently rejects")
	}
	if last.dropped != 0 || last.refused != 0 {
		t.Errorf("%d points dropped and %d refused, want none", last.dropped, last.refused)
	}
	if len(acked) != int(a.next) {
		t.Errorf("%d of %d requests were acknowledged, want all", len(acked), a.next)
	}
	first, third := thirds(memory)
	t.Logf(
		"%d requests of %d points acknowledged, %d arrived, %d permanently rejected; behaviors of the upstream: %v",
		len(acked),
		pointsPerRequest,
		len(up.order),
		len(x.unwanted),
		x.behaved,
	)
	t.Logf(
		"%d accounts checked, the last: accepted %d, sent %d, rejected %v",
		len(up.accounts),
		last.accepted,
		last.sent,
		last.reasons,
	)
	t.Logf(
		"RSS %d KiB in the first third, %d in the last (%d samples, at most %d)",
		first,
		third,
		len(memory),
		slices.Max(memory),
	)
	if full && float64(third) > 1.1*float64(first)+1024 {
		t.Errorf("median RSS grew from %d KiB in the first third to %d KiB in the last", first, third)
	}
	for _, behavior := range slices.Sorted(maps.Keys(x.behaved)) {
		if full && x.behaved[behavior] < 10 {
			t.Errorf("the upstream's behavior %q occurred %d times, want at least 10", behavior, x.behaved[behavior])
		}
	}
}

// watchMemory samples the resident memory, in KiB, until ctx is done.
func (s *sidecar) watchMemory(ctx context.Context) (samples []int) {
	s.t.Helper()
	for tick := time.NewTicker(pick(100*time.Millisecond, time.Second)); ; {
		samples = append(samples, s.residentKiB())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return samples
		}
	}
}

func (s *sidecar) residentKiB() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// thirds returns the medians of the first and the last third of the samples.
func thirds(samples []int) (first, last int) {
	third := max(1, len(samples)/3)
	return median(samples[:third]), median(samples[len(samples)-third:])
}

func median(samples []int) int {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)/2]
}
