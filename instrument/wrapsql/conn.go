package wrapsql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// conn sees when a connection of a driver is taken and given back. It has the optional interfaces
// whose absence it can do as database/sql does. Two cannot be done without, so withInterfaces adds
// them where the driver's connection has them: with a driver.ExecerContext or driver.QueryerContext
// arguments are checked before a statement could check them.
//
// Like any driver's it is used by one goroutine at a time: database/sql sees to that.
type conn struct {
	driver.Conn
	pool    *pool
	touched bool        // since it was given back: spares the lock
	use     measure.Use // this and the next are guarded by the lock of the pool
	used    bool        // and use is in progress
	broken  bool        // and to be closed
	// since a transaction was rolled back that database/sql would not let the driver come back from
	discard bool
}

// withInterfaces returns w with the interfaces that the driver's connection has.
func withInterfaces(w *conn) driver.Conn {
	c := w.Conn
	switch exec, query := executes(c), queries(c); {
	case exec && query:
		return struct {
			*conn
			execer
			queryer
		}{w, execer{w}, queryer{w}}
	case exec:
		return struct {
			*conn
			execer
		}{w, execer{w}}
	case query:
		return struct {
			*conn
			queryer
		}{w, queryer{w}}
	}
	return w
}

func (c *conn) driverConn() driver.Conn {
	c.touch()
	return c.Conn
}

// touch begins a use, unless one is in progress.
func (c *conn) touch() {
	if !c.touched {
		c.touched = true
		c.pool.touch(c)
	}
}

func (c *conn) end(how instrument.Ending) {
	c.touched = false
	c.pool.end(c, how)
}

// ResetSession is called when a connection that was used before is taken.
func (c *conn) ResetSession(ctx context.Context) error {
	c.touch()
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		err := r.ResetSession(ctx)
		c.broken = errors.Is(err, driver.ErrBadConn)
		return err
	}
	return nil
}

// IsValid is called when a connection is given back.
func (c *conn) IsValid() bool {
	valid := !c.discard
	if v, ok := c.Conn.(driver.Validator); ok && valid {
		valid = v.IsValid()
	}
	c.broken = !valid
	if valid {
		c.end(instrument.OK)
	} else {
		c.end(instrument.Failed)
	}
	return valid
}

// Close is called with a use in progress only if the connection is broken.
func (c *conn) Close() error {
	c.broken = c.broken || c.touched
	c.end(instrument.Failed)
	c.pool.closed(c.broken)
	return c.Conn.Close()
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error {
	c.touch()
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	c.touch()
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.touch()
	if p, ok := c.Conn.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	s, err := c.Prepare(query)
	if err == nil && ctx.Err() != nil {
		_ = s.Close() // as database/sql does
		return nil, ctx.Err()
	}
	return s, err
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.touch()
	t, err := c.beginTx(ctx, opts)
	if err != nil || c.returns() {
		return t, err
	}
	return tx{t, c, ctx}, nil
}

func (c *conn) beginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if b, ok := c.Conn.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, opts)
	}
	switch {
	case opts.Isolation != 0:
		return nil, errors.New("sql: driver does not support non-default isolation level")
	case opts.ReadOnly:
		return nil, errors.New("sql: driver does not support read-only transactions")
	}
	t, err := c.Begin()
	if err == nil && ctx.Err() != nil {
		_ = t.Rollback() // as database/sql does
		return nil, ctx.Err()
	}
	return t, err
}

// returns reports whether the driver's connection may be used again after a transaction whose
// context ended: database/sql asks that of drivers that can reset and validate a session, and
// closes the connections of others.
func (c *conn) returns() bool {
	_, resets := c.Conn.(driver.SessionResetter)
	_, validates := c.Conn.(driver.Validator)
	return resets && validates
}

// tx closes the connection as database/sql would, were it not for the interfaces that conn has.
type tx struct {
	driver.Tx
	conn *conn
	ctx  context.Context
}

// Rollback implements driver.Tx. If the context has ended, database/sql rolls back by itself;
// should the program be faster, then by no more than it happens to be.
func (t tx) Rollback() error {
	t.conn.discard = t.conn.discard || t.ctx.Err() != nil
	return t.Tx.Rollback()
}
