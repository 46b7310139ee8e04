package wrapsql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// conn wraps a driver's connection and records when database/sql takes and returns it. If the
// driver's connection lacks an optional interface, conn implements it by doing what database/sql
// would do without it. That is impossible for driver.ExecerContext and driver.QueryerContext: if a
// connection implements them, database/sql checks the arguments before a statement can check them.
// So withInterfaces adds these two only if the driver's connection has them.
//
// As with any driver connection, database/sql ensures that only one goroutine at a time uses a
// conn.
type conn struct {
	driver.Conn
	pool    *pool
	touched bool        // touch has been called since the last use ended; avoids taking the lock again
	use     measure.Use // the pool's lock guards use and used
	used    bool        // a use is in progress
	broken  bool        // the connection must be closed
	// without the wrapper, database/sql would not reuse the connection after the rollback of a
	// transaction
	discard bool
}

// withInterfaces returns w, with driver.ExecerContext and driver.QueryerContext added if the
// driver's connection has them.
func withInterfaces(w *conn) driver.Conn {
	c := w.Conn
	switch exec, query := canExec(c), canQuery(c); {
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

// driverConn returns the driver's own connection, for DriverConn.
func (c *conn) driverConn() driver.Conn {
	c.touch()
	return c.Conn
}

// touch records the start of a use, unless one is in progress.
func (c *conn) touch() {
	if !c.touched {
		c.touched = true
		c.pool.touch(c)
	}
}

// end records the end of the use, if there is one.
func (c *conn) end(ending instrument.Ending) {
	c.touched = false
	c.pool.end(c, ending)
}

// ResetSession implements driver.SessionResetter. database/sql calls it before it uses a connection
// again.
func (c *conn) ResetSession(ctx context.Context) error {
	c.touch()
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		err := r.ResetSession(ctx)
		c.broken = errors.Is(err, driver.ErrBadConn)
		return err
	}
	return nil
}

// IsValid implements driver.Validator. database/sql calls it when a connection is returned.
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

// Close implements driver.Conn. If a use is in progress, the connection is broken.
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
	if err != nil || c.isReusableAfterRollback() {
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

// isReusableAfterRollback reports whether database/sql would reuse the driver's own connection
// after it rolled back a transaction because its context is done. It does so only if the driver can
// reset and validate a session; otherwise, it closes the connection.
func (c *conn) isReusableAfterRollback() bool {
	_, resets := c.Conn.(driver.SessionResetter)
	_, validates := c.Conn.(driver.Validator)
	return resets && validates
}

// tx wraps a transaction so that database/sql closes the same connections as without the wrapper,
// although conn implements interfaces that the driver's connection lacks.
type tx struct {
	driver.Tx
	conn *conn
	ctx  context.Context
}

// Rollback implements driver.Tx. If the context is done, the rollback usually comes from
// database/sql itself. It may come from the program if both happen at nearly the same time.
func (t tx) Rollback() error {
	t.conn.discard = t.conn.discard || t.ctx.Err() != nil
	return t.Tx.Rollback()
}
