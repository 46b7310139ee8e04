//go:build unix

package wrapredis_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/adapters/internal/server"
	"github.com/poolgauge/poolgauge/adapters/wrapredis"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// installRecorder installs our recorder until the test ends. Only clients created afterwards use
// it.
func installRecorder(t *testing.T, others ...redis.OTelRecorder) {
	redis.SetOTelRecorder(wrapredis.Recorder(others...))
	t.Cleanup(func() { redis.SetOTelRecorder(nil) })
}

func count(s instrument.Stats, e instrument.Event, reason string) (n int64) {
	for _, r := range s.Resources {
		if r.Event == e && r.Reason == reason {
			n += r.Count
		}
	}
	return n
}

// A leak of all connections, an outage of a real server, and its recovery all show in the Stats.
func TestClientReportsALeakAndAnOutage(t *testing.T) {
	installRecorder(t)
	r := server.Redis(t)
	c := redis.NewClient(&redis.Options{
		Addr: r.Address, PoolSize: 2, PoolTimeout: 20 * time.Millisecond, MaxRetries: -1, DialerRetries: 1,
	})
	defer c.Close()
	reg := mustObserve(t, c)
	ctx := t.Context()
	first, second := c.Conn(), c.Conn() // each keeps a connection until it is closed
	for _, conn := range []*redis.Conn{first, second} {
		if err := conn.Ping(ctx).Err(); err != nil {
			t.Fatal(err)
		}
	}
	inTrace, id := pooltest.InTrace(ctx, 1), trace.TraceID{1}
	if err := c.Ping(inTrace).Err(); !errors.Is(err, redis.ErrPoolTimeout) {
		t.Fatalf("with both connections in use: got error %v, want %v", err, redis.ErrPoolTimeout)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_ = c.Ping(canceled).Err()
	s := reg.Stats()
	if s.Usage[instrument.Used].Or(-1) != 2 || s.Requests[instrument.TimedOut].Or(-1) != 1 ||
		s.Wait[instrument.TimedOut].Sum() < 0.02 {
		t.Errorf("with both connections leaked: got %v, want 2 used and 1 timeout", s)
	}
	if e := s.Exemplars; len(e) != 1 || e[0].Outcome != instrument.TimedOut || e[0].Trace != id ||
		e[0].Wait < 20*time.Millisecond {
		t.Errorf("got exemplars %+v, want only that of the request that timed out", e)
	}
	if s.Requests[instrument.Canceled].Or(-1) != 1 || s.Requests[instrument.Acquired].Or(-1) != 2 ||
		count(s, instrument.Created, "") != 2 {
		t.Errorf("with both connections leaked: got %v, want 1 canceled, 2 acquired and 2 created", s)
	}

	r.Stop()
	_ = first.Ping(ctx).Err() // notices that the connection is broken
	_ = second.Ping(ctx).Err()
	_ = first.Close()
	_ = second.Close()
	const n = 3
	for range n {
		if err := c.Ping(ctx).Err(); err == nil {
			t.Error("Ping succeeded while the server was stopped")
		}
	}
	s = reg.Stats()
	if count(s, instrument.Ended, "broken") != 2 || count(s, instrument.CreateFailed, "error") == 0 ||
		s.Usage[instrument.Used].Or(-1) != 0 {
		t.Errorf("during the outage: got %v, want 2 broken, failed dials and 0 used", s)
	}
	if s.Completed[instrument.Failed].Or(-1) != 2+n || s.Requests[instrument.Acquired].Or(-1) != 2+n ||
		s.Pending.Or(-1) != 0 {
		t.Errorf("during the outage: got %v, want %d failed, %d acquired and 0 pending", s, 2+n, 2+n)
	}

	r.Start()
	for c.Ping(ctx).Err() != nil { // go-redis returns errors until it has reconnected
		runtime.Gosched()
	}
	s = reg.Stats()
	if count(s, instrument.Created, "") < 3 || s.Completed[instrument.OK].Or(-1) != 1 ||
		s.Usage[instrument.Idle].Or(-1) < 1 {
		t.Errorf("after the restart: got %v, want at least 3 created, 1 ok and at least 1 idle", s)
	}
	_ = c.Close()
	if s = reg.Stats(); count(s, instrument.Ended, "pool_closed") < 1 {
		t.Errorf("after Close: got %v, want at least 1 connection closed with the pool", s)
	}
}

func TestSubscriptionsAreConnections(t *testing.T) {
	c := mustOpen(t, &redis.Options{})
	reg, err := wrapredis.Subscriptions(t.Name(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	sub := c.Subscribe(t.Context(), "news")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := reg.Stats(); s.Usage[instrument.Used].Or(-1) != 1 || count(s, instrument.Created, "") != 1 {
		t.Errorf("while subscribed: got %v, want 1 used and 1 created", s)
	}
	_ = sub.Close()
	if s := reg.Stats(); s.Usage[instrument.Used].Or(-1) != 0 || count(s, instrument.Ended, "other") != 1 {
		t.Errorf("after the subscription: got %v, want 0 used and 1 closed", s)
	}
	if _, err := wrapredis.Subscriptions("nothing", nil); err == nil {
		t.Error("a nil client was accepted")
	}
}

// callCounter is another recorder of the program. It counts calls.
type callCounter struct {
	redis.OTelRecorder
	mu    sync.Mutex
	calls map[string]int
}

func (c *callCounter) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[what]++
}

func (c *callCounter) RecordOperationDuration(
	context.Context, time.Duration, redis.Cmder, int, error, redis.ConnInfo, int,
) {
	c.count("operation")
}

func (c *callCounter) RecordConnectionWaitTime(context.Context, time.Duration, redis.ConnInfo) {
	c.count("wait")
}

func (c *callCounter) RecordConnectionCreateTime(context.Context, time.Duration, redis.ConnInfo) {
	c.count("create")
}

func (c *callCounter) RecordConnectionClosed(context.Context, redis.ConnInfo, string, error) {
	c.count("closed")
}

func TestRecorderWithInvariantsUnderLoad(t *testing.T) {
	other := &callCounter{OTelRecorder: wrapredis.Silent, calls: map[string]int{}}
	installRecorder(t, other)
	c := redis.NewClient(
		&redis.Options{Addr: server.Redis(t).Address, PoolSize: 3, MaxIdleConns: 2, PoolTimeout: time.Minute},
	)
	defer c.Close()
	reg := mustObserve(t, c)
	pipes, err := wrapredis.Pipelines(t.Name()+" pipelines", c)
	if err != nil {
		t.Fatal(err)
	}
	defer pipes.Close()
	var in pooltest.Invariants
	const goroutines, each = 8, 60
	last := in.HoldUnder(t, reg.Stats, func() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for i := range each {
					ctx, cancel := context.WithCancel(t.Context())
					if i%4 == 0 {
						go cancel()
					}
					_ = c.Ping(ctx).Err()
					cancel()
				}
			})
		}
		wg.Wait()
	})
	if last.Usage[instrument.Used].Or(-1) != 0 || last.Pending.Or(-1) != 0 ||
		last.Requests[instrument.Acquired].Or(-1) < goroutines*each/2 {
		t.Errorf("after the load: got %v, want 0 used, 0 pending and at least %d acquired", last, goroutines*each/2)
	}
	pipe := c.Pipeline()
	pipe.Incr(t.Context(), "n")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := pipes.Stats(); s.Requests[instrument.Acquired].Or(-1) != 1 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("after one pipeline: got %v, want 1 acquired and 1 ok", s)
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	for _, what := range []string{"operation", "wait", "create"} {
		if other.calls[what] == 0 {
			t.Errorf("calls forwarded to the other recorder: %v, want at least one of %s", other.calls, what)
		}
	}
}
