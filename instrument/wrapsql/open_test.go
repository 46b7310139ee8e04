package wrapsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrapsql"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func openDB(t testing.TB, s *server, opts ...instrument.Option) *sql.DB {
	t.Helper()
	db, err := wrapsql.OpenDB("orders", s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Establishing a connection takes 2 s. Then a query reads rows for 3 s, a transaction takes 4 s,
// and the connection is idle in between.
func TestOpenDBMeasuresConnectingAndUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{connect: func(context.Context) error { time.Sleep(2 * time.Second); return nil }}
		db := openDB(t, s, instrument.WithConventions())
		db.SetMaxOpenConns(1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			rows, err := db.Query("x", 1)
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(3 * time.Second)
			_ = rows.Close()
		}()
		time.Sleep(time.Second)
		pooltest.HasPoints(
			t,
			pooltest.Points(t),
			map[string]float64{"poolgauge.pool.usage constructing": 1, "poolgauge.pool.usage used": 0},
		)
		time.Sleep(2 * time.Second)
		pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
			"poolgauge.pool.usage constructing": 0, "poolgauge.pool.usage used": 1, "poolgauge.pool.usage idle": 0,
			"poolgauge.pool.use.time": 1, "poolgauge.pool.use.age": 1,
		})
		<-done
		time.Sleep(time.Minute)
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		_ = tx.Commit()
		pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
			"poolgauge.pool.limit":             1,
			"poolgauge.pool.usage used":        0,
			"poolgauge.pool.usage idle":        1,
			"poolgauge.pool.requests acquired": 2,
			"poolgauge.pool.completed ok":      2,
			"poolgauge.pool.completed error":   0,
			"poolgauge.pool.use.duration":      2,
			"poolgauge.pool.use.time":          7,
			"poolgauge.pool.waits":             0,
			"poolgauge.pool.create.duration":   1,
			"poolgauge.pool.resources created": 1,
			"db.client.connection.use_time":    2,
			"db.client.connection.create_time": 1,
			"db.client.connection.max":         1,
			"db.client.connection.count idle":  1,
			"db.client.connection.count used":  0,
		})
	})
}

func TestOpenDBReportsWhyConnectionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connectErr, queryErr error
		s := &server{
			connect: func(context.Context) error { return connectErr },
			query:   func() error { return queryErr },
		}
		db := openDB(t, s)
		db.SetMaxIdleConns(1)
		for _, connectErr = range []error{errRefused, context.Canceled, context.DeadlineExceeded} {
			if err := db.Ping(); !errors.Is(err, connectErr) {
				t.Errorf("Ping: got error %v, want %v", err, connectErr)
			}
		}
		connectErr = nil
		queryErr = driver.ErrBadConn
		_, _ = db.Exec("x") // every attempt breaks its connection
		queryErr = errRefused
		_, _ = db.Exec("x") // only the query fails
		queryErr = nil
		a, _ := db.Conn(t.Context())
		b, _ := db.Conn(t.Context())
		_, _ = b.ExecContext(t.Context(), "x")
		_ = a.Close()
		_ = b.Close() // one idle connection more than allowed
		const resources = "poolgauge.pool.resources "
		got := pooltest.Points(t)
		broken := got[resources+"closed broken"]
		if broken == 0 || broken != got["poolgauge.pool.completed error"] {
			t.Errorf("got %v broken connections, want as many as failed uses, %v, and not 0",
				broken, got["poolgauge.pool.completed error"])
		}
		pooltest.HasPoints(t, got, map[string]float64{
			resources + "create_failed error":    1,
			resources + "create_failed canceled": 1,
			resources + "create_failed timeout":  1,
			resources + "created":                broken + 2,
			resources + "closed max_idle":        1,
			resources + "closed other":           0,
			"poolgauge.pool.completed ok":        3,
			"poolgauge.pool.usage idle":          1,
		})
	})
}

// When the limit is lowered, there are more connections than allowed. database/sql closes them but
// does not count them.
func TestOpenDBCountsConnectionsClosedForOtherReasons(t *testing.T) {
	db := openDB(t, new(server))
	db.SetMaxIdleConns(8)
	var held []*sql.Conn
	for range 4 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	db.SetMaxOpenConns(1)
	for _, c := range held {
		_ = c.Close()
	}
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
		"poolgauge.pool.resources closed other":    3,
		"poolgauge.pool.resources closed max_idle": 0,
		"poolgauge.pool.usage idle":                1,
	})
}

func TestOpenDBInvariantsUnderLoad(t *testing.T) {
	var n int
	var mu sync.Mutex
	s := &server{query: func() error {
		runtime.Gosched()
		mu.Lock()
		defer mu.Unlock()
		if n++; n%10 == 0 {
			return driver.ErrBadConn
		}
		return nil
	}}
	db, stats, err := wrapsql.OpenDBStats("orders", s)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(3)
	db.SetMaxIdleConns(2)
	var in pooltest.Invariants
	last := in.HoldUnder(t, stats, func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					_, _ = db.Exec("x")
				}
			})
		}
		wg.Wait()
	})
	var created, ended int64
	for _, r := range last.Resources {
		switch r.Event {
		case instrument.Created:
			created += r.Count
		case instrument.Ended:
			ended += r.Count
		}
	}
	if used := last.Usage[instrument.Used].Or(-1); used != 0 || created-ended != last.Usage[instrument.Idle].Or(-1) {
		t.Errorf("got usage %v, %d created, %d closed; want 0 used, and the rest idle", last.Usage, created, ended)
	}
	if n := last.Requests[instrument.Acquired].Or(0); n < 1600 {
		t.Errorf("got %d uses, want at least 1600", n)
	}
}

// A connection that a caller holds counts as used even before its first call, as in database/sql.
func TestOpenDBCountsConnectionWithoutCallsAsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDB(t, new(server))
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
			"poolgauge.pool.requests acquired": 1, "poolgauge.pool.usage idle": 0, "poolgauge.pool.usage used": 1,
		})
		_ = c.Raw(func(raw any) error {
			if _, ok := wrapsql.DriverConn(raw).(*conn); !ok {
				t.Errorf("DriverConn returned a %T, want a *conn", wrapsql.DriverConn(raw))
			}
			return nil
		})
		time.Sleep(time.Second)
		_ = c.Close()
		pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{
			"poolgauge.pool.requests acquired": 1, "poolgauge.pool.completed ok": 1, "poolgauge.pool.use.time": 3601,
		})
	})
}

// If the caller gives up while a connection is being established, the connection counts as idle.
func TestOpenDBCountsAbandonedConnectionAsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDB(t, &server{connect: func(context.Context) error { time.Sleep(3 * time.Second); return nil }})
		db.SetMaxOpenConns(1)
		broken, _ := db.Conn(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		done := make(chan struct{})
		go func() { // gives up while the connection is being established
			defer close(done)
			if _, err := db.Conn(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}()
		synctest.Wait()
		_ = broken.Raw(func(any) error { return driver.ErrBadConn })
		<-done
		pooltest.HasPoints(
			t,
			pooltest.Points(t),
			map[string]float64{"poolgauge.pool.usage constructing": 1, "poolgauge.pool.usage used": 0},
		)
		time.Sleep(time.Minute)
		if s := db.Stats(); s.Idle != 1 {
			t.Fatalf("got %+v from database/sql, want 1 idle connection", s)
		}
		pooltest.HasPoints(
			t,
			pooltest.Points(t),
			map[string]float64{"poolgauge.pool.usage idle": 1, "poolgauge.pool.usage used": 0},
		)
	})
}

// The DB may be opened by another library, which wraps our Connector.
func TestConnectorCanBeWrapped(t *testing.T) {
	c, use, err := wrapsql.Connector("orders", new(server))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(outerConnector{c})
	defer db.Close()
	if _, err := db.Exec("x"); err != nil {
		t.Fatal(err)
	}
	got := pooltest.Points(t)
	pooltest.HasPoints(
		t,
		got,
		map[string]float64{"poolgauge.pool.requests acquired": 1, "poolgauge.pool.usage used": 0},
	)
	if _, ok := got["poolgauge.pool.waits"]; ok {
		t.Error("waits are reported before the DB is known")
	}
	use(db)
	db.SetMaxOpenConns(7)
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{"poolgauge.pool.limit": 7, "poolgauge.pool.waits": 0})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := pooltest.Points(t); len(got) > 0 {
		t.Errorf("after Close there are still %v", got)
	}
}

// outerConnector is a connector of another library. It forwards Close, so that closing the DB
// closes our Connector.
type outerConnector struct{ driver.Connector }

func (a outerConnector) Close() error { return a.Connector.(io.Closer).Close() }

func TestOpenDBCloseStopsReporting(t *testing.T) {
	s := new(server)
	db := openDB(t, s)
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := pooltest.Points(t); len(got) > 0 {
		t.Errorf("after Close there are still %v", got)
	}
	if n := s.serverClosed.Load(); n != 1 {
		t.Errorf("the connector was closed %d times, want once", n)
	}
	if db.Driver() != driver.Driver(s) {
		t.Errorf("Driver() returned a %T, want the connector's driver", db.Driver())
	}
}

func TestOpenDBErrors(t *testing.T) {
	if _, err := wrapsql.OpenDB("orders", nil); err == nil {
		t.Error("a nil connector was accepted")
	}
	s := new(server)
	openDB(t, s)
	if _, err := wrapsql.OpenDB("orders", s); !errors.Is(err, instrument.ErrNameInUse) {
		t.Errorf("second pool with the same name: got error %v, want ErrNameInUse", err)
	}
	if n := s.serverClosed.Load(); n != 0 {
		t.Error("OpenDB failed, but closed the caller's connector")
	}
}

func TestOpenDBWithoutTelemetryDoesNotWrap(t *testing.T) {
	db := openDB(t, new(server), instrument.WithoutTelemetry())
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.Raw(func(raw any) error {
		if _, ok := wrapsql.DriverConn(raw).(*conn); !ok || wrapsql.DriverConn(raw) != raw {
			t.Errorf("got a connection of type %T, want the driver's own", raw)
		}
		return nil
	})
}

// register registers a driver, once per process.
var register = sync.OnceFunc(func() { sql.Register("memory", new(server)) })

func TestOpen(t *testing.T) {
	register()
	db, err := wrapsql.Open("orders", "memory", "dsn")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("x"); err != nil {
		t.Fatal(err)
	}
	pooltest.HasPoints(t, pooltest.Points(t), map[string]float64{"poolgauge.pool.requests acquired": 1})
	if _, err := wrapsql.Open("others", "no such driver", ""); err == nil {
		t.Error("an unknown driver was accepted")
	}
}

// Without a Producer, all metrics are reported through the MeterProvider.
func TestOpenDBWithMeterProvider(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	db := openDB(t, new(server), instrument.WithMeterProvider(provider), instrument.WithConventions())
	if _, err := db.Exec("x"); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for s, v := range pooltest.Collect(t, reader) {
		got[s.Metric] += v
	}
	pooltest.HasPoints(t, got, map[string]float64{
		catalog.PoolUseDuration.Name:        1,
		catalog.DBConnectionUseTime.Name:    1,
		catalog.DBConnectionCreateTime.Name: 1,
		catalog.PoolRequests.Name:           1,
	})
}
