package wrapsql_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrapsql"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// open opens a DB without instrumentation.
func open(t testing.TB, s *server) *sql.DB {
	db := sql.OpenDB(s)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func observe(t testing.TB, db *sql.DB, opts ...instrument.Option) *instrument.Registration {
	t.Helper()
	r, err := wrapsql.DB("orders", db, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// A second caller waits 3 s for the only connection, and a third gives up after 1 s.
func TestDBReportsStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, new(server))
		db.SetMaxOpenConns(1)
		observe(t, db)
		held, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := db.Exec("x"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := db.ExecContext(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
			"poolgauge.pool.limit": 1, "poolgauge.pool.usage used": 1, "poolgauge.pool.usage idle": 0,
			"poolgauge.pool.waits": 2, "poolgauge.pool.wait.time": 0,
		})
		time.Sleep(3 * time.Second)
		_ = held.Close()
		wg.Wait()
		pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
			"poolgauge.pool.usage used": 0, "poolgauge.pool.usage idle": 1,
			"poolgauge.pool.waits": 2, "poolgauge.pool.wait.time": 4,
		})
	})
}

func TestDBReportsWhyConnectionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		db := open(t, s)
		observe(t, db)
		use := func(n int) { // uses n connections at the same time
			var held []*sql.Conn
			for range n {
				c, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, c)
			}
			for _, c := range held {
				_ = c.Close()
			}
		}
		db.SetMaxIdleConns(2)
		use(5) // three connections more than may be idle
		db.SetConnMaxIdleTime(time.Minute)
		time.Sleep(2 * time.Minute)
		synctest.Wait() // the other two have been idle for too long
		db.SetConnMaxIdleTime(0)
		use(1)
		db.SetConnMaxLifetime(time.Minute)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		const closed = "poolgauge.pool.resources closed "
		pooltest.HasPoints(
			t,
			pooltest.Points(t),
			map[string]float64{closed + "max_idle": 3, closed + "max_idle_time": 2, closed + "max_lifetime": 1},
		)
		if n := s.closed.Load(); n != 6 {
			t.Errorf("got %d connections closed, want 6", n)
		}
	})
}

func TestDBOmitsUnknownValues(t *testing.T) {
	db := open(t, new(server))
	observe(t, db)
	if _, err := db.Exec("x"); err != nil {
		t.Fatal(err)
	}
	got := pooltest.Points(t)
	for _, m := range []*catalog.Metric{
		catalog.PoolLimit, catalog.PoolPending, catalog.PoolRequests, catalog.PoolWaitDuration, catalog.PoolUseDuration, catalog.PoolCompleted,
	} {
		for key := range got {
			if key == m.Name || len(key) > len(m.Name) && key[:len(m.Name)+1] == m.Name+" " {
				t.Errorf("%s is reported as %v, although it is unknown", key, got[key])
			}
		}
	}
}

func TestDBInvariantsUnderLoad(t *testing.T) {
	db := open(t, new(server))
	db.SetMaxOpenConns(3)
	db.SetMaxIdleConns(1)
	var in pooltest.Invariants
	in.HoldUnder(t, func() instrument.Stats { return wrapsql.StatsOf(db.Stats()) }, func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					if _, err := db.Exec("x"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestDBClose(t *testing.T) {
	db := open(t, new(server))
	reg := observe(t, db)
	reg.Close()
	reg.Close()
	if got := pooltest.Points(t); len(got) > 0 {
		t.Errorf("after Close: got points %v, want none", got)
	}
	if err := db.Ping(); err != nil {
		t.Errorf("closing the Registration also closed the DB: %v", err)
	}
	_ = observe(t, db) // the name is available again
}

func TestDBErrors(t *testing.T) {
	if _, err := wrapsql.DB("orders", nil); err == nil {
		t.Error("a nil *sql.DB was accepted")
	}
	db := open(t, new(server))
	observe(t, db)
	if _, err := wrapsql.DB("orders", db); !errors.Is(err, instrument.ErrNameInUse) {
		t.Errorf("second pool with the same name: got error %v, want ErrNameInUse", err)
	}
}
