package wrapsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument/wrapsql"
)

// callLog records the calls that a driver receives, and the results that the program gets.
type callLog struct {
	mu    sync.Mutex
	lines []string
}

func (d *callLog) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// Each of these types implements one optional interface of connections.
type (
	execerContext  struct{ *callLog }
	oldExecer      struct{ *callLog }
	queryerContext struct{ *callLog }
	oldQueryer     struct{ *callLog }
	preparer       struct {
		*callLog
		c *conn
	}
	beginner  struct{ *callLog }
	pinger    struct{ *callLog }
	resetter  struct{ *callLog }
	validator struct{ *callLog }
	checker   struct{ *callLog }
)

func (e execerContext) ExecContext(_ context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	e.add("exec %s %v", q, args)
	return driver.RowsAffected(1), nil
}

func (e oldExecer) Exec(q string, args []driver.Value) (driver.Result, error) {
	e.add("old exec %s %v", q, args)
	return nil, driver.ErrSkip
}

func (e queryerContext) QueryContext(_ context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	e.add("query %s %v", q, args)
	return new(rows), nil
}

func (e oldQueryer) Query(q string, args []driver.Value) (driver.Rows, error) {
	e.add("old query %s %v", q, args)
	return new(rows), nil
}

func (e preparer) PrepareContext(_ context.Context, q string) (driver.Stmt, error) {
	e.add("prepare %s", q)
	return stmt{e.c}, nil
}

func (e beginner) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	e.add("begin %v", o)
	return tx{}, nil
}

func (e pinger) Ping(context.Context) error           { e.add("ping"); return errRefused }
func (e resetter) ResetSession(context.Context) error { e.add("reset"); return nil }
func (e validator) IsValid() bool                     { e.add("valid"); return true }

func (e checker) CheckNamedValue(v *driver.NamedValue) error {
	e.add("check %T", v.Value)
	if _, ok := v.Value.(special); ok {
		v.Value = "special"
		return nil
	}
	return driver.ErrSkip
}

// special is an argument that only a driver's checker can convert.
type special struct{ _ chan int }

// stmtChecker is a connection whose statements convert special arguments themselves. So arguments
// must not be checked before a statement is prepared.
type stmtChecker struct {
	*conn
	log *callLog
}

func (c stmtChecker) Prepare(q string) (driver.Stmt, error) {
	c.log.add("old prepare %s", q)
	return struct {
		stmt
		checker
	}{stmt{c.conn}, checker{c.log}}, nil
}

// connections maps names to constructors of driver connections that implement different optional
// interfaces.
var connections = map[string]func(*conn, *callLog) driver.Conn{
	"none":              func(c *conn, _ *callLog) driver.Conn { return c },
	"statement checker": func(c *conn, d *callLog) driver.Conn { return stmtChecker{c, d} },
	"old execer": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			oldExecer
		}{c, oldExecer{d}}
	},
	"old queryer": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			oldQueryer
		}{c, oldQueryer{d}}
	},
	"execer": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			execerContext
		}{c, execerContext{d}}
	},
	"queryer": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			queryerContext
		}{c, queryerContext{d}}
	},
	"preparer": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			preparer
		}{c, preparer{d, c}}
	},
	"beginner": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			beginner
		}{c, beginner{d}}
	},
	"pinger": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			pinger
		}{c, pinger{d}}
	},
	"resetter": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			resetter
		}{c, resetter{d}}
	},
	"validator": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			validator
		}{c, validator{d}}
	},
	"checker": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			checker
		}{c, checker{d}}
	},
	"resetter and validator": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			resetter
			validator
		}{c, resetter{d}, validator{d}}
	},
	"all current interfaces": func(c *conn, d *callLog) driver.Conn {
		return struct {
			*conn
			execerContext
			queryerContext
			preparer
			beginner
			pinger
			resetter
			validator
			checker
		}{c, execerContext{d}, queryerContext{d}, preparer{d, c}, beginner{d}, pinger{d}, resetter{d}, validator{d}, checker{d}}
	},
}

// No matter which optional interfaces a driver's connection implements, the driver gets the same
// calls and the program gets the same results as without the wrapper.
func TestOpenDBPreservesBehavior(t *testing.T) {
	for name, wrap := range connections {
		t.Run(name, func(t *testing.T) {
			run := func(open func(driver.Connector) (*sql.DB, error)) (lines []string) {
				synctest.Test(t, func(t *testing.T) {
					var d callLog
					s := &server{wrap: func(c *conn) driver.Conn { return wrap(c, &d) }}
					db, err := open(s)
					if err != nil {
						t.Fatal(err)
					}
					script(t.Context(), db, &d)
					d.add("%d connections opened, %d closed", s.opened.Load(), s.closed.Load())
					_ = db.Close()
					lines = d.lines
				})
				return lines
			}
			unwrapped := run(func(c driver.Connector) (*sql.DB, error) { return sql.OpenDB(c), nil })
			wrapped := run(func(c driver.Connector) (*sql.DB, error) { return wrapsql.OpenDB("orders", c) })
			if !slices.Equal(unwrapped, wrapped) {
				t.Errorf("the calls and results differ:\nunwrapped: %q\nwrapped:   %q", unwrapped, wrapped)
			}
		})
	}
}

// script uses all features of a DB and adds the results to d.
func script(ctx context.Context, db *sql.DB, d *callLog) {
	addResult := func(call string, err error) { d.add("%s: %v", call, err) }
	addResult("ping", db.PingContext(ctx))
	for _, arg := range []any{1, special{}, sql.Named("n", 2), make(chan int)} {
		_, err := db.ExecContext(ctx, "E", arg)
		addResult("exec", err)
		r, err := db.QueryContext(ctx, "Q", arg)
		addResult("query", err)
		if err == nil {
			_ = r.Close()
		}
	}
	st, err := db.PrepareContext(ctx, "P")
	addResult("prepare", err)
	if err == nil {
		_, err = st.ExecContext(ctx, special{})
		addResult("statement", err)
		_ = st.Close()
	}
	for _, o := range []*sql.TxOptions{nil, {ReadOnly: true}, {Isolation: sql.LevelSerializable}} {
		t, err := db.BeginTx(ctx, o)
		addResult("begin", err)
		if err == nil {
			_, err = t.ExecContext(ctx, "T", 1)
			addResult("in transaction", err)
			addResult("rollback", t.Rollback())
		}
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = db.BeginTx(short, nil)
	addResult("begin", err)
	time.Sleep(2 * time.Second) // database/sql rolls the transaction back, and may close the connection
	synctest.Wait()
	d.add("%d open", db.Stats().OpenConnections)
	_, err = db.ExecContext(ctx, "E")
	addResult("exec", err)
	addResult("exec after the deadline", func() error { _, err := db.ExecContext(short, "E"); return err }())
}
