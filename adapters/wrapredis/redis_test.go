//go:build unix

package wrapredis_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/adapters/internal/server"
	"github.com/poolgauge/poolgauge/adapters/wrapredis"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

const pool = "poolgauge.pool."

func mustOpen(t *testing.T, o *redis.Options) *redis.Client {
	t.Helper()
	o.Addr = server.Redis(t).Address
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func mustObserve(t *testing.T, c wrapredis.Pooled) *instrument.Registration {
	t.Helper()
	reg, err := wrapredis.Client(t.Name(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	return reg
}

func TestClientReportsARealPool(t *testing.T) {
	c := mustOpen(t, &redis.Options{PoolSize: 2, PoolTimeout: 20 * time.Millisecond, MaxRetries: -1})
	reg := mustObserve(t, c)
	ctx := t.Context()
	first, second := c.Conn(), c.Conn() // each keeps a connection until it is closed
	for _, conn := range []*redis.Conn{first, second} {
		if err := conn.Ping(ctx).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Ping(ctx).Err(); !errors.Is(err, redis.ErrPoolTimeout) {
		t.Fatalf("with both connections in use: got error %v, want %v", err, redis.ErrPoolTimeout)
	}
	want := map[string]float64{
		pool + "limit": 2, pool + "usage used": 2, pool + "usage idle": 0, pool + "pending": 0,
		pool + "requests acquired": 2, pool + "requests timeout": 1, pool + "waits": 0, pool + "wait.time": 0,
		pool + "resources closed other": 0, pool + "resources create_failed error": 0, pool + "usage constructing": 0,
	}
	pooltest.WantPoints(t, pooltest.Points(t), want)
	waited := make(chan error)
	go func() {
		for {
			err := c.Ping(ctx).Err()
			if !errors.Is(err, redis.ErrPoolTimeout) {
				waited <- err
				return
			}
		}
	}()
	for c.PoolStats().PendingRequests == 0 {
		runtime.Gosched() // until the request is waiting
	}
	_ = first.Close()
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
	got := pooltest.Points(t)
	if got[pool+"usage used"] != 0 || got[pool+"usage idle"] != 2 || got[pool+"requests acquired"] != 3 {
		t.Errorf("after the release of both connections: got %v, want 0 used, 2 idle and 3 acquired", got)
	}
	if s := c.PoolStats(); got[pool+"waits"] != float64(s.WaitCount) ||
		math.Abs(got[pool+"wait.time"]-float64(s.WaitDurationNs)/1e9) > 1e-9 {
		t.Errorf("%v waits for %v s reported; go-redis reports %+v", got[pool+"waits"], got[pool+"wait.time"], s)
	}
	reg.Close()
	reg.Close()
	pooltest.WantPoints(t, pooltest.Points(t), nil)
}

func TestClientInvariantsUnderLoad(t *testing.T) {
	c := mustOpen(t, &redis.Options{PoolSize: 3, MaxActiveConns: 3, PoolTimeout: time.Minute})
	read := wrapredis.Reading()
	var in pooltest.Invariants
	const goroutines, each = 8, 200
	st := in.HoldUnder(t, func() instrument.Stats {
		s := read(c.PoolStats())
		s.Limit = instrument.Some(int64(3))
		return s
	}, func() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					if err := c.Ping(context.Background()).Err(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
	if n := st.Requests[instrument.Acquired].Or(0); n != goroutines*each {
		t.Errorf("%d acquired, want %d", n, goroutines*each)
	}
}

func TestPipelinesHaveAPoolOfTheirOwn(t *testing.T) {
	c := mustOpen(t, &redis.Options{PoolSize: 2, PipelinePoolSize: 5})
	reg, err := wrapredis.Pipelines(t.Name(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	pipe := c.Pipeline()
	pipe.Incr(t.Context(), "n")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := pooltest.Points(t)
	s := c.PoolStats().PipelineStats
	if got[pool+"limit"] != 5 || got[pool+"requests acquired"] != float64(s.Hits+s.Misses) {
		t.Errorf("got %v; go-redis reports %+v", got, s)
	}
}

func TestPipelinesOfAClientWithoutAPipelinePool(t *testing.T) {
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", PipelinePoolSize: -1})
	defer c.Close()
	reg, err := wrapredis.Pipelines(t.Name(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	pooltest.WantPoints(t, pooltest.Points(t), nil)
}

// A client of a cluster without a reachable node still reports its counters, and omits the values
// that go-redis never reports for clusters.
func TestClusterOmitsUnknownValues(t *testing.T) {
	c := redis.NewClusterClient(
		&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, MaxRedirects: -1, DialTimeout: time.Millisecond},
	)
	defer c.Close()
	mustObserve(t, c)
	got := pooltest.Points(t)
	for _, absent := range []string{"limit", "pending"} {
		if v, ok := got[pool+absent]; ok {
			t.Errorf("%s is reported as %v, want it omitted", absent, v)
		}
	}
	if _, ok := got[pool+"requests acquired"]; !ok {
		t.Errorf("the number of acquired requests is not among %v", got)
	}
}

// go-redis's counters have 32 bits, and decrease when a node leaves a cluster. Our totals never
// decrease.
func TestTotalsNeverDecrease(t *testing.T) {
	read := wrapredis.Reading()
	var in pooltest.Invariants
	want := int64(0)
	for i, step := range []struct {
		hits uint32
		more int64
	}{{math.MaxUint32/2 - 1, math.MaxUint32/2 - 1}, {math.MaxUint32 - 5, math.MaxUint32/2 - 3}, {4, 10}, {1, 0}, {3, 2}} {
		want += step.more
		s := read(&redis.PoolStats{Hits: step.hits, WaitDurationNs: int64(step.hits)})
		if err := in.Check(s); err != nil {
			t.Error(err)
		}
		if got := s.Requests[instrument.Acquired].Or(0); got != want {
			t.Errorf("step %d: %d acquired, want %d", i, got, want)
		}
	}
}

func TestClientRejectsNil(t *testing.T) {
	if _, err := wrapredis.Client("nothing", nil); err == nil {
		t.Error("a nil client was accepted")
	}
}
