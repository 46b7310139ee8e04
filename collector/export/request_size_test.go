package export

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/protobuf/proto"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// records returns a request of n log records of size bytes each.
func records(t *testing.T, n, size int) otlp.Batch {
	t.Helper()
	scope := &logspb.ScopeLogs{}
	for i := range n {
		scope.LogRecords = append(
			scope.LogRecords,
			&logspb.LogRecord{TimeUnixNano: uint64(i + 1), SeverityText: strings.Repeat("x", size)},
		)
	}
	data, err := proto.Marshal(
		&logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{scope}}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return otlp.Batch{Signal: otlp.Logs, Points: int64(n), Data: data}
}

// startLogs returns a rig with only the logs lane.
func startLogs(t *testing.T, client Client, policy rules) *rig {
	t.Helper()
	r := start(t, client, policy)
	r.drain(0)
	var err error
	lanes := []Lane{{ID: queue.Logs, Client: client, Timeout: policy.timeout, InFlight: 1}}
	if r.Exporter, err = New(r.queue, lanes, policy.Policy, noop.Meter{}, r.logger); err != nil {
		t.Fatal(err)
	}
	return r
}

// On a link so slow that a request of full size exceeds the timeout, smaller requests succeed, and
// at most twice the data is sent in total.
func TestSlowLink(t *testing.T) {
	const rate = 60_000 // bytes per second
	synctest.Test(t, func(t *testing.T) {
		var sent, accepted int
		f := &fake{answer: func(ctx context.Context, b otlp.Batch) (Result, error) {
			duration := time.Duration(len(b.Data)) * time.Second / rate
			begun := time.Now()
			select {
			case <-time.After(duration):
				sent += len(b.Data)
				accepted += len(b.Data)
				return Result{}, nil
			case <-ctx.Done():
				sent += int(time.Since(begun).Seconds() * rate)
				return Result{}, failure(Slow, "timeout")
			}
		}}
		r := startLogs(t, f, holding)
		for range 20 {
			r.putBatch(records(t, 100, 1000)) // 2 MB in total
		}
		time.Sleep(90 * time.Second)
		synctest.Wait()
		equal(t, "queued", r.queue.Account().Queued(), 0)
		equal(t, "sent", r.Account().Sent[queue.Logs], 2000)
		if sent > 2*accepted {
			t.Errorf("%d bytes were sent to deliver %d, want at most twice as many", sent, accepted)
		}
		r.drain(time.Second)
	})
}

// A single batch that is too large for the upstream is divided between its records, whichever
// status reports that it is too large.
func TestSingleLargeBatchIsDivided(t *testing.T) {
	for _, reason := range []string{"413", "RESOURCE_EXHAUSTED"} {
		synctest.Test(t, func(t *testing.T) {
			var got int64
			f := &fake{}
			f.answer = func(_ context.Context, b otlp.Batch) (Result, error) {
				if len(b.Data) > 100_000 {
					return Result{}, failure(Large, reason)
				}
				got += b.Points
				return Result{}, nil
			}
			r := startLogs(t, f, holding)
			r.putBatch(records(t, 4000, 1000))
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			equal(t, "sent", r.Account().Sent[queue.Logs], 4000)
			equal(t, "arrived", got, 4000)
			equal(t, "rejected", len(r.Account().Rejected), 0)
			equal(t, "queued", r.queue.Account().Queued(), 0)
			for i := 1; i < 3; i++ {
				if gap := f.at[i].Sub(f.at[i-1]); gap < time.Second {
					t.Errorf("a smaller request was sent after %v, want a backoff of at least 1s", gap)
				}
			}
			r.drain(time.Second)
		})
	}
}

// A single record that is too large is held, then lost and counted. The records around it arrive.
func TestSingleRecordTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(_ context.Context, b otlp.Batch) (Result, error) {
			if len(b.Data) > 100_000 {
				return Result{}, failure(Large, "413")
			}
			return Result{}, nil
		}}
		r := startLogs(t, f, holding)
		r.putBatch(records(t, 1, 200_000))
		r.putBatch(records(t, 10, 100))
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		equal(t, "sent", r.Account().Sent[queue.Logs], 10)
		equal(t, "rejected", r.Account().Rejected[Rejection{queue.Logs, "413"}], 1)
		r.drain(time.Second)
	})
}

// If every record is invalid, the lane does not flood the upstream with requests.
func TestEverythingIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{
			answer: func(context.Context, otlp.Batch) (Result, error) { return Result{}, failure(Invalid, "400") },
		}
		r := startJoinedWith(t, f, holding, strings.Split(strings.Repeat("x", 300), "")...)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(f.requests); n > 60 {
			t.Errorf("%d requests in 10 seconds, want at most 60", n)
		}
		equal(t, "log lines", r.logLines(), 1)
		r.drain(0)
	})
}
