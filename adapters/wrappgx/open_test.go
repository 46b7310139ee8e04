//go:build unix

package wrappgx_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/adapters/internal/server"
	"github.com/poolgauge/poolgauge/adapters/wrappgx"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// mustOpenTraced opens a pool of three connections with NewWithConfig. change may be nil.
func mustOpenTraced(t *testing.T, url string, change func(*pgxpool.Config)) (*pgxpool.Pool, *instrument.Registration) {
	t.Helper()
	config, err := pgxpool.ParseConfig(url + "&pool_max_conns=3")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(config)
	}
	p, reg, err := wrappgx.NewWithConfig(t.Context(), t.Name(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); reg.Close() })
	return p, reg
}

func count(s instrument.Stats, e instrument.Event, reason string) (n int64) {
	for _, r := range s.Resources {
		if r.Event == e && r.Reason == reason {
			n += r.Count
		}
	}
	return n
}

func mustAcquire(t *testing.T, p *pgxpool.Pool) *pgxpool.Conn {
	t.Helper()
	c, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A leak of all connections, an outage of a real server, and its recovery all show in the Stats.
func TestNewWithConfigReportsALeakAndAnOutage(t *testing.T) {
	postgres, url := server.Postgres(t)
	p, reg := mustOpenTraced(t, url, nil)
	var leaked []*pgxpool.Conn
	for range 3 {
		leaked = append(leaked, mustAcquire(t, p))
	}
	inTrace, id := pooltest.InTrace(t.Context(), 1), trace.TraceID{1}
	impatient, cancel := context.WithTimeout(inTrace, 10*time.Millisecond)
	defer cancel()
	if _, err := p.Acquire(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with all 3 connections in use: got error %v, want %v", err, context.DeadlineExceeded)
	}
	waiting := make(chan error)
	ctx, giveUp := context.WithCancel(t.Context())
	go func() {
		_, err := p.Acquire(ctx)
		waiting <- err
	}()
	for reg.Stats().Pending.Or(-1) != 1 {
		runtime.Gosched()
	}
	s := reg.Stats()
	if s.Usage[instrument.Used].Or(-1) != 3 || s.Limit.Or(-1) != 3 || s.Requests[instrument.TimedOut].Or(-1) != 1 ||
		s.PendingAge.Or(-1) < 0 {
		t.Errorf("with all connections leaked: got %v, want 3 of 3 used, 1 timeout and 1 pending", s)
	}
	if w := s.Wait[instrument.TimedOut]; w.Count() != 1 || w.Sum() < 0.01 || s.Wait[instrument.Acquired].Count() != 3 {
		t.Errorf("got %v, want the waits of 1 timed out and 3 acquired requests", s)
	}
	if e := s.Exemplars; len(e) != 1 || e[0].Outcome != instrument.TimedOut || e[0].Trace != id ||
		e[0].Wait < 10*time.Millisecond {
		t.Errorf("got exemplars %+v, want only that of the request that timed out", e)
	}
	giveUp()
	<-waiting //nolint:errcheck // the request was canceled
	if s = reg.Stats(); s.Requests[instrument.Canceled].Or(-1) != 1 || s.Pending.Or(-1) != 0 {
		t.Errorf("after the cancellation: got %v, want 1 canceled and 0 pending", s)
	}

	postgres.Stop()
	for _, c := range leaked {
		_, _ = c.Exec(t.Context(), "SELECT 1") // notices that the connection is broken
		c.Release()
	}
	const n = 4
	for range n {
		if err := p.Ping(t.Context()); err == nil {
			t.Error("Ping succeeded while the server was stopped")
		}
	}
	s = reg.Stats()
	if count(s, instrument.Ended, "broken") != 3 || count(s, instrument.CreateFailed, "error") < n ||
		count(s, instrument.Created, "") != 3 {
		t.Errorf("during the outage: got %v, want 3 broken, at least %d failed dials and 3 created", s, n)
	}
	if s.Completed[instrument.Failed].Or(-1) != 3+n || s.Usage[instrument.Used].Or(-1) != 0 ||
		s.Usage[instrument.Constructing].Or(-1) != 0 {
		t.Errorf("during the outage: got %v, want %d failed uses, 0 used and 0 constructing", s, 3+n)
	}

	postgres.Start()
	if err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := reg.Stats()
	if count(after, instrument.Created, "") != 4 || after.Completed[instrument.OK].Or(-1) != 1 ||
		after.Usage[instrument.Idle].Or(-1) != 1 {
		t.Errorf("after the restart: got %v, want 4 created, 1 ok and 1 idle", after)
	}
	p.Close()
	for count(reg.Stats(), instrument.Ended, "other") != 1 {
		runtime.Gosched()
	}
	if _, err := p.Acquire(
		t.Context(),
	); !errors.Is(err, puddle.ErrClosedPool) ||
		reg.Stats().Requests[instrument.WasClosed].Or(-1) != 1 {
		t.Errorf("after Close: got error %v, %v; want 1 request that ended as closed", err, reg.Stats())
	}
}

// The program's own hooks and tracers are called, and their time counts as part of connecting.
func TestNewWithConfigKeepsHooks(t *testing.T) {
	_, url := server.Postgres(t)
	fail := errors.New("injected error")
	var before, after error
	calls := map[string]int{}
	p, reg := mustOpenTraced(t, url, func(c *pgxpool.Config) {
		c.ConnConfig.Tracer = queries(func() { calls["query"]++ })
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { calls["before"]++; return before }
		c.AfterConnect = func(context.Context, *pgx.Conn) error { calls["after"]++; return after }
	})
	before = fail
	if err := p.Ping(t.Context()); !errors.Is(err, fail) {
		t.Errorf("BeforeConnect failed, but Ping returned %v", err)
	}
	before, after = nil, fail
	if err := p.Ping(t.Context()); !errors.Is(err, fail) {
		t.Errorf("AfterConnect failed, but Ping returned %v", err)
	}
	after = nil
	if _, err := p.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Error(err)
	}
	s := reg.Stats()
	if calls["before"] != 3 || calls["after"] != 2 || calls["query"] != 1 {
		t.Errorf("calls: %v, want before 3 times, after twice and query once", calls)
	}
	if count(s, instrument.CreateFailed, "error") != 2 || count(s, instrument.Created, "") != 1 ||
		s.Usage[instrument.Constructing].Or(-1) != 0 {
		t.Errorf("got %v, want 2 failed dials, 1 created and 0 constructing", s)
	}
}

// queries is a pgx.QueryTracer that calls itself at the start of each query.
type queries func()

func (q queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q()
	return ctx
}
func (queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// If the caller gives up, the pool completes the dial in the background, and the dial is still
// counted.
func TestNewWithConfigCountsAnAbandonedDial(t *testing.T) {
	_, url := server.Postgres(t)
	hold := make(chan struct{})
	p, reg := mustOpenTraced(t, url, func(c *pgxpool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { <-hold; return nil }
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for reg.Stats().Usage[instrument.Constructing].Or(-1) != 1 {
			runtime.Gosched()
		}
		cancel()
	}()
	if _, err := p.Acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s := reg.Stats()
	if s.Usage[instrument.Constructing].Or(-1) != 1 || s.Usage[instrument.Used].Or(-1) != 0 ||
		s.Requests[instrument.Canceled].Or(-1) != 1 {
		t.Errorf("after the cancellation: got %v, want 1 constructing, 0 used and 1 canceled", s)
	}
	close(hold)
	for s = reg.Stats(); s.Usage[instrument.Idle].Or(-1) != 1; s = reg.Stats() {
		runtime.Gosched()
	}
	if s.Usage[instrument.Constructing].Or(-1) != 0 || count(s, instrument.Created, "") != 1 {
		t.Errorf("after the dial: got %v, want 0 constructing and 1 created", s)
	}
}

func TestNewWithConfigHijackedAndAllIdle(t *testing.T) {
	_, url := server.Postgres(t)
	p, reg := mustOpenTraced(t, url, nil)
	hijacked := mustAcquire(t, p).Hijack()
	defer func() { _ = hijacked.Close(context.Background()) }()
	s := reg.Stats()
	if s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("after a hijack: got %v, want 0 used and 1 ok", s)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range p.AcquireAllIdle(t.Context()) {
		c.Release()
	}
	if s = reg.Stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Requests[instrument.Acquired].Or(-1) != 3 {
		t.Errorf("after AcquireAllIdle: got %v, want 0 used and 3 acquired", s)
	}
}

func TestNewWithConfigInvariantsUnderLoad(t *testing.T) {
	_, url := server.Postgres(t)
	p, reg := mustOpenTraced(t, url, nil)
	var in pooltest.Invariants
	const goroutines, each = 8, 60
	last := in.HoldUnder(t, reg.Stats, func() {
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					ctx, cancel := context.WithCancel(t.Context())
					if i%4 == 0 {
						go cancel()
					}
					_, _ = p.Exec(ctx, "SELECT 1")
					if g == 0 && i%20 == 0 {
						p.Reset()
					}
					cancel()
				}
			})
		}
		wg.Wait()
	})
	var calls int64
	for _, n := range last.Requests {
		calls += n.Or(0)
	}
	if calls != goroutines*each || last.Pending.Or(-1) != 0 || last.Usage[instrument.Used].Or(-1) != 0 {
		t.Errorf("%d calls, want %d, with 0 pending and 0 used: %v", calls, goroutines*each, last)
	}
}

func TestNewWithConfigWithoutConfigOrTelemetry(t *testing.T) {
	if _, _, err := wrappgx.NewWithConfig(t.Context(), "nothing", nil); err == nil {
		t.Error("a nil config was accepted")
	}
	config, err := pgxpool.ParseConfig("postgres://test@127.0.0.1:1/x")
	if err != nil {
		t.Fatal(err)
	}
	p, off, err := wrappgx.NewWithConfig(t.Context(), "off", config, instrument.WithoutTelemetry())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if s := off.Stats().String(); s != "no data" {
		t.Errorf("without telemetry: got Stats %s, want no data", s)
	}
	if p.Config().ConnConfig.Tracer != nil {
		t.Error("without telemetry: a tracer was installed")
	}
}
