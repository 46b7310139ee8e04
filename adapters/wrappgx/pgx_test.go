//go:build unix

package wrappgx_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/poolgauge/poolgauge/adapters/internal/server"
	"github.com/poolgauge/poolgauge/adapters/wrappgx"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

const pool = "poolgauge.pool."

func mustOpen(t *testing.T) *pgxpool.Pool {
	t.Helper()
	_, url := server.Postgres(t)
	p, err := pgxpool.New(t.Context(), url+"&pool_max_conns=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestPoolReportsARealPool(t *testing.T) {
	p := mustOpen(t)
	reg, err := wrappgx.Pool(t.Name(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	first, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("with a canceled context: got error %v, want %v", err, context.Canceled)
	}
	second.Release()
	want := map[string]float64{
		pool + "limit": 2, pool + "usage used": 1, pool + "usage idle": 1, pool + "usage constructing": 0,
		// both waits were for new connections
		pool + "requests acquired": 2, pool + "requests canceled": 1, pool + "waits": 2, pool + "wait.time": -1,
		pool + "resources closed max_lifetime": 0, pool + "resources closed max_idle_time": 0,
	}
	pooltest.WantPoints(t, pooltest.Points(t), want)
	if got := pooltest.Points(t)[pool+"wait.time"]; got != p.Stat().EmptyAcquireWaitTime().Seconds() {
		t.Errorf("a wait time of %v s reported; pgx reports %v", got, p.Stat().EmptyAcquireWaitTime())
	}
	first.Release()
	if got := pooltest.Points(t); got[pool+"usage used"] != 0 || got[pool+"usage idle"] != 2 {
		t.Errorf("after the release of both connections: got %v, want 0 used and 2 idle", got)
	}
	reg.Close()
	reg.Close()
	pooltest.WantPoints(t, pooltest.Points(t), nil)
}

func TestPoolInvariantsUnderLoad(t *testing.T) {
	p := mustOpen(t)
	var in pooltest.Invariants
	const goroutines, each = 8, 100
	st := in.HoldUnder(t, func() instrument.Stats { return wrappgx.StatsOf(p.Stat()) }, func() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					if _, err := p.Exec(context.Background(), "SELECT 1"); err != nil {
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
	if st.Waits.Or(0) < 2 || st.WaitTime.Or(0) <= 0 {
		t.Errorf("%d waits for %v s, want at least 2 and a positive time", st.Waits.Or(0), st.WaitTime.Or(0))
	}
}

func TestPoolRejectsNil(t *testing.T) {
	if _, err := wrappgx.Pool("nothing", nil); err == nil {
		t.Error("a nil pool was accepted")
	}
}
