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

func mustFollow(t *testing.T, url string, change func(*pgxpool.Config)) (*pgxpool.Pool, *instrument.Registration) {
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

// The metrics show a leak, an outage and the recovery of a real server.
func TestNewWithConfigTellsALeakAndAnOutage(t *testing.T) {
	postgres, url := server.Postgres(t)
	p, reg := mustFollow(t, url, nil)
	var leaked []*pgxpool.Conn
	for range 3 {
		leaked = append(leaked, mustAcquire(t, p))
	}
	inTrace, id := pooltest.InTrace(t.Context(), 1), trace.TraceID{1}
	impatient, cancel := context.WithTimeout(inTrace, 10*time.Millisecond)
	defer cancel()
	if _, err := p.Acquire(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a fourth of 3: %v", err)
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
		t.Errorf("all are leaked: %v", s)
	}
	if w := s.Wait[instrument.TimedOut]; w.Count() != 1 || w.Sum() < 0.01 || s.Wait[instrument.Acquired].Count() != 3 {
		t.Errorf("the wait of the one that gave up: %v", s)
	}
	if e := s.Exemplars; len(e) != 1 || e[0].Outcome != instrument.TimedOut || e[0].Trace != id ||
		e[0].Wait < 10*time.Millisecond {
		t.Errorf("its exemplar: %+v", e)
	}
	giveUp()
	<-waiting //nolint:errcheck // the caller gave up
	if s = reg.Stats(); s.Requests[instrument.Canceled].Or(-1) != 1 || s.Pending.Or(-1) != 0 {
		t.Errorf("it gave up: %v", s)
	}

	postgres.Stop()
	for _, c := range leaked {
		_, _ = c.Exec(t.Context(), "SELECT 1") // notices that the connection is broken
		c.Release()
	}
	const n = 4
	for range n {
		if err := p.Ping(t.Context()); err == nil {
			t.Error("there is a server")
		}
	}
	s = reg.Stats()
	if count(s, instrument.Ended, "broken") != 3 || count(s, instrument.CreateFailed, "error") < n ||
		count(s, instrument.Created, "") != 3 {
		t.Errorf("an outage: %v", s)
	}
	if s.Completed[instrument.Failed].Or(-1) != 3+n || s.Usage[instrument.Used].Or(-1) != 0 ||
		s.Usage[instrument.Constructing].Or(-1) != 0 {
		t.Errorf("an outage: %v", s)
	}

	postgres.Start()
	if err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := reg.Stats()
	if count(after, instrument.Created, "") != 4 || after.Completed[instrument.OK].Or(-1) != 1 ||
		after.Usage[instrument.Idle].Or(-1) != 1 {
		t.Errorf("it is back: %v", after)
	}
	p.Close()
	for count(reg.Stats(), instrument.Ended, "other") != 1 {
		runtime.Gosched()
	}
	if _, err := p.Acquire(
		t.Context(),
	); !errors.Is(err, puddle.ErrClosedPool) ||
		reg.Stats().Requests[instrument.WasClosed].Or(-1) != 1 {
		t.Errorf("a closed pool: %v, %v", err, reg.Stats())
	}
}

// The program's own hooks and tracers are called, and their time counts as part of connecting.
func TestNewWithConfigKeepsHooks(t *testing.T) {
	_, url := server.Postgres(t)
	fail := errors.New("as meant")
	var before, after error
	calls := map[string]int{}
	p, reg := mustFollow(t, url, func(c *pgxpool.Config) {
		c.ConnConfig.Tracer = queries(func() { calls["query"]++ })
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { calls["before"]++; return before }
		c.AfterConnect = func(context.Context, *pgx.Conn) error { calls["after"]++; return after }
	})
	before = fail
	if err := p.Ping(t.Context()); !errors.Is(err, fail) {
		t.Error(err)
	}
	before, after = nil, fail
	if err := p.Ping(t.Context()); !errors.Is(err, fail) {
		t.Error(err)
	}
	after = nil
	if _, err := p.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Error(err)
	}
	s := reg.Stats()
	if calls["before"] != 3 || calls["after"] != 2 || calls["query"] != 1 {
		t.Errorf("called %v", calls)
	}
	if count(s, instrument.CreateFailed, "error") != 2 || count(s, instrument.Created, "") != 1 ||
		s.Usage[instrument.Constructing].Or(-1) != 0 {
		t.Errorf("two not made, one made: %v", s)
	}
}

type queries func()

func (q queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q()
	return ctx
}
func (queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// If a caller gives up, the pool completes the dial.
func TestNewWithConfigCountsADialThatWasLeftBehind(t *testing.T) {
	_, url := server.Postgres(t)
	hold := make(chan struct{})
	p, reg := mustFollow(t, url, func(c *pgxpool.Config) {
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
		t.Errorf("the dial goes on: %v", s)
	}
	close(hold)
	for s = reg.Stats(); s.Usage[instrument.Idle].Or(-1) != 1; s = reg.Stats() {
		runtime.Gosched()
	}
	if s.Usage[instrument.Constructing].Or(-1) != 0 || count(s, instrument.Created, "") != 1 {
		t.Errorf("the next one has a connection: %v", s)
	}
}

func TestNewWithConfigHijackedAndAllIdle(t *testing.T) {
	_, url := server.Postgres(t)
	p, reg := mustFollow(t, url, nil)
	mine := mustAcquire(t, p).Hijack()
	defer func() { _ = mine.Close(context.Background()) }()
	s := reg.Stats()
	if s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("hijacked: %v", s)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range p.AcquireAllIdle(t.Context()) {
		c.Release()
	}
	if s = reg.Stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Requests[instrument.Acquired].Or(-1) != 3 {
		t.Errorf("all idle ones were acquired: %v", s)
	}
}

func TestNewWithConfigInvariantsUnderLoad(t *testing.T) {
	_, url := server.Postgres(t)
	p, reg := mustFollow(t, url, nil)
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
		t.Errorf("%d calls, want %d: %v", calls, goroutines*each, last)
	}
}

func TestNewWithConfigRefuses(t *testing.T) {
	if _, _, err := wrappgx.NewWithConfig(t.Context(), "nothing", nil); err == nil {
		t.Error("no config was accepted")
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
	if s := off.Stats().String(); s != "nothing known" {
		t.Errorf("without telemetry: %s", s)
	}
	if p.Config().ConnConfig.Tracer != nil {
		t.Error("there is a tracer")
	}
}
