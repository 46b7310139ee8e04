//go:build unix

package composed_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/XSAM/otelsql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/adapters/internal/server"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrapsql"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A connector may be wrapped below or above otelsql. In both cases, otelsql records spans, and our
// wrapper records uses and waits.
func TestConnectorWithOtelsql(t *testing.T) {
	_, url := server.Postgres(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	for name, compose := range map[string]func(name string, spans otelsql.Option) (*sql.DB, error){
		"below": func(name string, spans otelsql.Option) (*sql.DB, error) {
			c, use, err := wrapsql.Connector(name, stdlib.GetConnector(*config))
			if err != nil {
				return nil, err
			}
			db := otelsql.OpenDB(c, spans)
			use(db)
			return db, nil
		},
		"above": func(name string, spans otelsql.Option) (*sql.DB, error) {
			traced := otelsql.WrapDriver(stdlib.GetDefaultDriver(), spans)
			below, err := traced.(driver.DriverContext).OpenConnector(url)
			if err != nil {
				return nil, err
			}
			return wrapsql.OpenDB(name, below)
		},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
			db, err := compose(t.Name(), otelsql.WithTracerProvider(provider))
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			query(t, db)
			for row, want := range map[*catalog.Metric]int64{catalog.PoolRequests: 3, catalog.PoolCompleted: 3, catalog.PoolLimit: 1} {
				if n, _ := reported(t, row); n != want {
					t.Errorf("%s is %d, want %d", row.Name, n, want)
				}
			}
			if n := len(recorder.Ended()); n < 3 {
				t.Errorf("otelsql recorded %d spans, want at least 3", n)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			if _, ok := reported(t, catalog.PoolLimit); ok {
				t.Error("the pool's limit is still reported after Close")
			}
		})
	}
}

// reported returns the sum of a metric over the test's pool. ok is false if the metric is not
// reported.
func reported(t *testing.T, row *catalog.Metric) (n int64, ok bool) {
	t.Helper()
	reader := instrument.OpenReader()
	defer reader.Close()
	for p := range reader.Points() {
		if name, _ := p.Attributes.Value(catalog.PoolNameKey); p.Metric == row && name.AsString() == t.Name() {
			n, ok = n+p.Int, true
		}
	}
	return n, ok
}

// query runs three statements, one of them in a transaction.
func query(t *testing.T, db *sql.DB) {
	t.Helper()
	var one int
	if err := db.QueryRowContext(t.Context(), "SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Fatalf("SELECT 1: got %d, error %v", one, err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TEMPORARY TABLE orders (id int)"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO orders VALUES ($1)", 7); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
}
