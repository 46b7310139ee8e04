package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/instrument/wrapsql"
)

// noopDriver is a driver that does nothing. It implements all interfaces of a modern driver, so
// that only the cost of database/sql is measured.
type noopDriver struct{}

func (noopDriver) Connect(context.Context) (driver.Conn, error) { return noopDriver{}, nil }
func (noopDriver) Driver() driver.Driver                        { return noopDriver{} }
func (noopDriver) Open(string) (driver.Conn, error)             { return noopDriver{}, nil }
func (noopDriver) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (noopDriver) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (noopDriver) Close() error                                 { return nil }
func (noopDriver) ResetSession(context.Context) error           { return nil }
func (noopDriver) IsValid() bool                                { return true }

func (noopDriver) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}

func databases(use func(db *sql.DB, n int)) []harness.Subject {
	subject := func(name string, open func() (*sql.DB, func())) harness.Subject {
		return harness.Subject{Name: name, New: func() (func(int), func()) {
			db, stop := open()
			db.SetMaxOpenConns(8)
			db.SetMaxIdleConns(8)
			return func(n int) { use(db, n) }, func() {
				stop()
				_ = db.Close()
			}
		}}
	}
	bare := func() (*sql.DB, func()) { return sql.OpenDB(noopDriver{}), func() {} }
	return []harness.Subject{
		subject("wrapsql.OpenDB", func() (*sql.DB, func()) {
			db, err := wrapsql.OpenDB("benchmark", noopDriver{})
			if err != nil {
				panic(err) // the name is not in use
			}
			return db, func() {}
		}),
		subject("bare", bare),
		subject("wrapsql.DB", func() (*sql.DB, func()) {
			db, _ := bare()
			reg, err := wrapsql.DB("benchmark", db)
			if err != nil {
				panic(err) // the name is not in use
			}
			return db, reg.Close
		}),
	}
}

func sqlCases() []harness.Case {
	ctx := context.Background()
	execute := func(db *sql.DB, n int) {
		for range n {
			_, _ = db.ExecContext(ctx, "") // it cannot fail
		}
	}
	bars := []harness.Bar{{Peer: "bare", Ratio: 1, Plus: 60 * time.Nanosecond}}
	return []harness.Case{
		{Name: "sql, a query of nothing, alone", Subjects: databases(execute), Bars: bars},
		{Name: "sql, a query of nothing, 8 goroutines", Subjects: databases(func(db *sql.DB, n int) {
			harness.Parallel(8, n, func(n int) { execute(db, n) })
		})},
	}
}
