package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/instrument/wrapsql"
)

// nothing is a driver that does nothing. It implements all interfaces of a modern driver, so that
// only the cost of database/sql is measured.
type nothing struct{}

func (nothing) Connect(context.Context) (driver.Conn, error) { return nothing{}, nil }
func (nothing) Driver() driver.Driver                        { return nothing{} }
func (nothing) Open(string) (driver.Conn, error)             { return nothing{}, nil }
func (nothing) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (nothing) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (nothing) Close() error                                 { return nil }
func (nothing) ResetSession(context.Context) error           { return nil }
func (nothing) IsValid() bool                                { return true }

func (nothing) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
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
	bare := func() (*sql.DB, func()) { return sql.OpenDB(nothing{}), func() {} }
	return []harness.Subject{
		subject("wrapsql.OpenDB", func() (*sql.DB, func()) {
			db, err := wrapsql.OpenDB("benchmark", nothing{})
			if err != nil {
				panic(err) // the name is free
			}
			return db, func() {}
		}),
		subject("bare", bare),
		subject("wrapsql.DB", func() (*sql.DB, func()) {
			db, _ := bare()
			reg, err := wrapsql.DB("benchmark", db)
			if err != nil {
				panic(err) // the name is free
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
