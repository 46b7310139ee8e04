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

// listen sets the recorder for a test and the clients that the test creates afterwards.
func listen(t *testing.T, also ...redis.OTelRecorder) {
	redis.SetOTelRecorder(wrapredis.Recorder(also...))
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

// The metrics show a leak, an outage and the recovery of a real server.
func TestClientTellsALeakAndAnOutage(t *testing.T) {
	listen(t)
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
		t.Fatalf("a third connection of two: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_ = c.Ping(ended).Err()
	s := reg.Stats()
	if s.Usage[instrument.Used].Or(-1) != 2 || s.Requests[instrument.TimedOut].Or(-1) != 1 ||
		s.Wait[instrument.TimedOut].Sum() < 0.02 {
		t.Errorf("both are leaked: %v", s)
	}
	if e := s.Exemplars; len(e) != 1 || e[0].Outcome != instrument.TimedOut || e[0].Trace != id ||
		e[0].Wait < 20*time.Millisecond {
		t.Errorf("the exemplar of the one that gave up: %+v", e)
	}
	if s.Requests[instrument.Canceled].Or(-1) != 1 || s.Requests[instrument.Acquired].Or(-1) != 2 ||
		count(s, instrument.Created, "") != 2 {
		t.Errorf("both are leaked: %v", s)
	}

	r.Stop()
	_ = first.Ping(ctx).Err() // notices that the connection is broken
	_ = second.Ping(ctx).Err()
	_ = first.Close()
	_ = second.Close()
	const n = 3
	for range n {
		if err := c.Ping(ctx).Err(); err == nil {
			t.Error("there is a server")
		}
	}
	s = reg.Stats()
	if count(s, instrument.Ended, "broken") != 2 || count(s, instrument.CreateFailed, "error") == 0 ||
		s.Usage[instrument.Used].Or(-1) != 0 {
		t.Errorf("an outage: %v", s)
	}
	if s.Completed[instrument.Failed].Or(-1) != 2+n || s.Requests[instrument.Acquired].Or(-1) != 2+n ||
		s.Pending.Or(-1) != 0 {
		t.Errorf("an outage: %v", s)
	}

	r.Start()
	for c.Ping(ctx).Err() != nil { // go-redis reconnects on its own, and returns errors until then
		runtime.Gosched()
	}
	s = reg.Stats()
	if count(s, instrument.Created, "") < 3 || s.Completed[instrument.OK].Or(-1) != 1 ||
		s.Usage[instrument.Idle].Or(-1) < 1 {
		t.Errorf("it is back: %v", s)
	}
	_ = c.Close()
	if s = reg.Stats(); count(s, instrument.Ended, "pool_closed") < 1 {
		t.Errorf("closed: %v", s)
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
		t.Errorf("subscribed: %v", s)
	}
	_ = sub.Close()
	if s := reg.Stats(); s.Usage[instrument.Used].Or(-1) != 0 || count(s, instrument.Ended, "other") != 1 {
		t.Errorf("no longer: %v", s)
	}
	if _, err := wrapredis.Subscriptions("nothing", nil); err == nil {
		t.Error("no client was accepted")
	}
}

// heard is a second recorder, which the program has installed.
type heard struct {
	redis.OTelRecorder
	mu    sync.Mutex
	calls map[string]int
}

func (h *heard) count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[what]++
}

func (h *heard) RecordOperationDuration(context.Context, time.Duration, redis.Cmder, int, error, redis.ConnInfo, int) {
	h.count("operation")
}

func (h *heard) RecordConnectionWaitTime(context.Context, time.Duration, redis.ConnInfo) {
	h.count("wait")
}

func (h *heard) RecordConnectionCreateTime(context.Context, time.Duration, redis.ConnInfo) {
	h.count("create")
}

func (h *heard) RecordConnectionClosed(context.Context, redis.ConnInfo, string, error) {
	h.count("closed")
}

func TestRecorderWithInvariantsUnderLoad(t *testing.T) {
	other := &heard{OTelRecorder: wrapredis.Silent, calls: map[string]int{}}
	listen(t, other)
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
		t.Errorf("in the end: %v", last)
	}
	pipe := c.Pipeline()
	pipe.Incr(t.Context(), "n")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := pipes.Stats(); s.Requests[instrument.Acquired].Or(-1) != 1 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("a pipeline: %v", s)
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	for _, what := range []string{"operation", "wait", "create"} {
		if other.calls[what] == 0 {
			t.Errorf("the other recorder heard %v", other.calls)
		}
	}
}
