package export

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// outage is an exporter of several lanes, each with a client that fails until its upstream is up.
type outage struct {
	*Exporter

	t     *testing.T
	queue *queue.Queue
	fakes map[queue.Lane]*fake
	up    map[string]*atomic.Bool
}

// startOutage runs a lane for each entry of upstreams and puts a batch into each lane. While a
// lane's upstream is down, the lane's requests fail, with the lane's entry in asked as the minimum
// wait before a retry.
func startOutage(t *testing.T, upstreams map[queue.Lane]string, asked map[queue.Lane]time.Duration) *outage {
	t.Helper()
	o := &outage{t: t, fakes: map[queue.Lane]*fake{}, up: map[string]*atomic.Bool{"a": {}, "b": {}}}
	var lanes []Lane
	var err error
	if o.queue, err = queue.Open(queue.Config{Limit: 1 << 20, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	for id, upstream := range upstreams {
		f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
			if o.up[upstream].Load() {
				return Result{}, nil
			}
			return Result{}, &Failure{
				Reason: "UNAVAILABLE",
				Kind:   Passing,
				After:  asked[id],
				Err:    errors.New("not now"),
			}
		}}
		o.fakes[id] = f
		lanes = append(lanes, Lane{ID: id, Client: f, Upstream: upstream, Timeout: time.Second, InFlight: 1})
		if err := o.queue.Put(
			context.Background(),
			id,
			otlp.Batch{Signal: id.Signal(), Points: 1, Data: []byte("x")},
		); err != nil {
			t.Fatal(err)
		}
	}
	if o.Exporter, err = New(o.queue, lanes, Policy{}, noop.Meter{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return o
}

// lastRequest returns when a lane last sent a request.
func (o *outage) lastRequest(id queue.Lane) time.Time { return o.fakes[id].at[len(o.fakes[id].at)-1] }

func (o *outage) drain(grace time.Duration) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := o.Drain(ctx); err != nil {
		o.t.Error(err)
	}
}

func TestRecoveryOfOneLaneWakesTheOthersOfItsUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOutage(t,
			map[queue.Lane]string{queue.Metrics: "a", queue.Own: "a", queue.Traces: "b"},
			map[queue.Lane]time.Duration{queue.Own: maxRetryAfter, queue.Traces: maxRetryAfter})
		o.up["a"].Store(true)
		o.up["b"].Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "metrics sent", o.Account().Sent[queue.Metrics], 1)
		equal(t, "own points sent", o.Account().Sent[queue.Own], 1)
		equal(t, "own points sent at", o.lastRequest(queue.Own), o.lastRequest(queue.Metrics))
		equal(t, "traces sent, to another upstream", o.Account().Sent[queue.Traces], 0)
		o.drain(time.Second)
	})
}

// While the exporter is closing, the recovery of one lane wakes the other lanes of the same
// upstream. Their items are then sent within the shutdown time, and not after the next start.
func TestRecoveryWhileClosingWakesTheOthersOfItsUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOutage(t,
			map[queue.Lane]string{queue.Metrics: "a", queue.Own: "a"},
			map[queue.Lane]time.Duration{queue.Own: maxRetryAfter})
		time.AfterFunc(500*time.Millisecond, func() { o.up["a"].Store(true) })
		begun := time.Now()
		o.drain(time.Second)
		equal(t, "metrics sent", o.Account().Sent[queue.Metrics], 1)
		equal(t, "own points sent", o.Account().Sent[queue.Own], 1)
		if took := time.Since(begun); took > 600*time.Millisecond {
			t.Errorf("Drain took %v, want little more than the 500ms until the recovery", took)
		}
	})
}
