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

// diary records the calls that a driver receives.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// The types below implement the optional interfaces of connections, one each.
type (
	execerContext  struct{ *diary }
	oldExecer      struct{ *diary }
	queryerContext struct{ *diary }
	oldQueryer     struct{ *diary }
	preparer       struct {
		*diary
		c *conn
	}
	beginner  struct{ *diary }
	pinger    struct{ *diary }
	resetter  struct{ *diary }
	validator struct{ *diary }
	checker   struct{ *diary }
)

func (e execerContext) ExecContext(_ context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	e.note("exec %s %v", q, args)
	return driver.RowsAffected(1), nil
}

func (e oldExecer) Exec(q string, args []driver.Value) (driver.Result, error) {
	e.note("old exec %s %v", q, args)
	return nil, driver.ErrSkip
}

func (e queryerContext) QueryContext(_ context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	e.note("query %s %v", q, args)
	return new(rows), nil
}

func (e oldQueryer) Query(q string, args []driver.Value) (driver.Rows, error) {
	e.note("old query %s %v", q, args)
	return new(rows), nil
}

func (e preparer) PrepareContext(_ context.Context, q string) (driver.Stmt, error) {
	e.note("prepare %s", q)
	return stmt{e.c}, nil
}

func (e beginner) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	e.note("begin %v", o)
	return tx{}, nil
}

func (e pinger) Ping(context.Context) error           { e.note("ping"); return errRefused }
func (e resetter) ResetSession(context.Context) error { e.note("reset"); return nil }
func (e validator) IsValid() bool                     { e.note("valid"); return true }

func (e checker) CheckNamedValue(v *driver.NamedValue) error {
	e.note("check %T", v.Value)
	if _, ours := v.Value.(special); ours {
		v.Value = "special"
		return nil
	}
	return driver.ErrSkip
}

// special is an argument that only a driver's checker can convert.
type special struct{ _ chan int }

// choosy is a statement that converts special arguments itself. So the arguments must not be
// checked before the statement is prepared.
type choosy struct {
	*conn
	diary *diary
}

func (c choosy) Prepare(q string) (driver.Stmt, error) {
	c.diary.note("old prepare %s", q)
	return struct {
		stmt
		checker
	}{stmt{c.conn}, checker{c.diary}}, nil
}

// connections holds constructors of drivers' connections of many kinds, by name.
var connections = map[string]func(*conn, *diary) driver.Conn{
	"bare":   func(c *conn, _ *diary) driver.Conn { return c },
	"choosy": func(c *conn, d *diary) driver.Conn { return choosy{c, d} },
	"old execer": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			oldExecer
		}{c, oldExecer{d}}
	},
	"old queryer": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			oldQueryer
		}{c, oldQueryer{d}}
	},
	"execer": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			execerContext
		}{c, execerContext{d}}
	},
	"queryer": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			queryerContext
		}{c, queryerContext{d}}
	},
	"preparer": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			preparer
		}{c, preparer{d, c}}
	},
	"beginner": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			beginner
		}{c, beginner{d}}
	},
	"pinger": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			pinger
		}{c, pinger{d}}
	},
	"resetter": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			resetter
		}{c, resetter{d}}
	},
	"validator": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			validator
		}{c, validator{d}}
	},
	"checker": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			checker
		}{c, checker{d}}
	},
	"both sessions": func(c *conn, d *diary) driver.Conn {
		return struct {
			*conn
			resetter
			validator
		}{c, resetter{d}, validator{d}}
	},
	"modern": func(c *conn, d *diary) driver.Conn {
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

// Whatever optional interfaces a driver has, the driver gets the same calls, and the program the
// same results, as without the wrapper.
func TestOpenDBChangesNothing(t *testing.T) {
	for name, wrap := range connections {
		t.Run(name, func(t *testing.T) {
			run := func(open func(driver.Connector) (*sql.DB, error)) (lines []string) {
				synctest.Test(t, func(t *testing.T) {
					var d diary
					s := &server{wrap: func(c *conn) driver.Conn { return wrap(c, &d) }}
					db, err := open(s)
					if err != nil {
						t.Fatal(err)
					}
					script(t.Context(), db, &d)
					d.note("%d connections opened, %d closed", s.opened.Load(), s.closed.Load())
					_ = db.Close()
					lines = d.lines
				})
				return lines
			}
			bare := run(func(c driver.Connector) (*sql.DB, error) { return sql.OpenDB(c), nil })
			wrapped := run(func(c driver.Connector) (*sql.DB, error) { return wrapsql.OpenDB("orders", c) })
			if !slices.Equal(bare, wrapped) {
				t.Errorf("bare:    %q\nwrapped: %q", bare, wrapped)
			}
		})
	}
}

// script does everything that a program may do with a database.
func script(ctx context.Context, db *sql.DB, d *diary) {
	said := func(what string, err error) { d.note("%s: %v", what, err) }
	said("ping", db.PingContext(ctx))
	for _, arg := range []any{1, special{}, sql.Named("n", 2), make(chan int)} {
		_, err := db.ExecContext(ctx, "E", arg)
		said("exec", err)
		r, err := db.QueryContext(ctx, "Q", arg)
		said("query", err)
		if err == nil {
			_ = r.Close()
		}
	}
	st, err := db.PrepareContext(ctx, "P")
	said("prepare", err)
	if err == nil {
		_, err = st.ExecContext(ctx, special{})
		said("statement", err)
		_ = st.Close()
	}
	for _, o := range []*sql.TxOptions{nil, {ReadOnly: true}, {Isolation: sql.LevelSerializable}} {
		t, err := db.BeginTx(ctx, o)
		said("begin", err)
		if err == nil {
			_, err = t.ExecContext(ctx, "T", 1)
			said("in transaction", err)
			said("rollback", t.Rollback())
		}
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = db.BeginTx(short, nil)
	said("begin", err)
	time.Sleep(2 * time.Second) // database/sql rolls back, and may close the connection
	synctest.Wait()
	d.note("%d open", db.Stats().OpenConnections)
	_, err = db.ExecContext(ctx, "E")
	said("exec", err)
	said("exec after the deadline", func() error { _, err := db.ExecContext(short, "E"); return err }())
}
