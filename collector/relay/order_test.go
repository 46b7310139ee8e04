package relay

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// busy is an upstream that never responds. It counts the requests waiting for it.
type busy struct{ waiting atomic.Int64 }

func (b *busy) Send(ctx context.Context, _ export.Request) (export.Result, error) {
	b.waiting.Add(1)
	<-ctx.Done()
	return export.Result{}, ctx.Err()
}

func (*busy) Close() error { return nil }

// Prometheus rejects a sample that is older than the newest one of its series, so metrics have one
// request in flight and arrive in order. Live metrics may have two, since they need a Prometheus
// that accepts out-of-order samples anyway. The order of spans and log records does not matter.
func TestRequestsInFlight(t *testing.T) {
	for name, c := range map[string]struct {
		live bool
		lane queue.Lane
		want int64
	}{
		"metrics":      {false, queue.Metrics, 1},
		"live metrics": {true, queue.Metrics, 2},
		"traces":       {false, queue.Traces, 2},
		"logs":         {false, queue.Logs, 2},
		"own":          {false, queue.Own, 1},
		"live own":     {true, queue.Own, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				upstream := &busy{}
				r, err := Start(context.Background(), Config{
					Queue: queue.Config{Limit: 1 << 20},
					Live:  c.live,
					Meter: noop.Meter{},
					Log:   slog.New(slog.DiscardHandler),
					Dial: func(otlp.Signal) (export.Lane, error) {
						return export.Lane{Client: upstream, Timeout: time.Hour}, nil
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				for range 4 {
					b := otlp.Batch{Signal: c.lane.Signal(), Points: 1, Data: []byte("x")}
					if err := r.queue.Put(context.Background(), c.lane, b); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second) // so that each batch is sent in its own request
					synctest.Wait()
				}
				if got := upstream.waiting.Load(); got != c.want {
					t.Errorf("%d requests in flight, want %d", got, c.want)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = r.Shutdown(ctx) // fails because the queued batches are lost
			})
		})
	}
}
