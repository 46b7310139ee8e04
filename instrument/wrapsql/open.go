package wrapsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"

	"github.com/poolgauge/poolgauge/instrument"
)

// OpenDB is like [sql.OpenDB], but also reports metrics for the DB under name. It reports
// everything that [DB] does and, because it wraps the driver's connections,
//
//   - connections established and failed attempts to connect, and how long these took, by type of
//     error,
//   - connections being established, separately from those in use,
//   - uses of connections: how long each took, the age of the oldest, and whether the connection
//     broke. A use begins when the connection has been established or is taken again. A query that
//     returns rows uses a connection until the rows are closed, and a transaction until it ends. If
//     database/sql retries after [driver.ErrBadConn], each attempt is a use,
//   - connections closed because they were broken (broken), or for reasons that database/sql does
//     not count (other).
//
// Statements, rows and results are not wrapped. The driver gets the same calls as without the
// wrapper, whichever optional interfaces its connections implement. There is one difference: the
// function passed to [sql.Conn.Raw] must call [DriverConn] to get the driver's connection. Use [DB]
// if that is not possible.
//
// The DB is reported until it is closed. A use costs two lock operations and two clock readings;
// above 100,000 uses per second the clock is not read. OpenDB returns an error if a live pool has
// the same name.
func OpenDB(name string, c driver.Connector, opts ...instrument.Option) (*sql.DB, error) {
	w, use, err := Connector(name, c, opts...)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(w)
	use(db)
	return db, nil
}

// Connector is like [OpenDB], but for a program that creates the DB itself, for example with
// another library that also wraps connectors:
//
//	c, use, err := wrapsql.Connector("orders", connector)
//	db := otelsql.OpenDB(c)
//	use(db)
//
// The other library may wrap c or be wrapped by it. If the program does not call use, values that
// only [sql.DB.Stats] provides are absent: the limit, waits, and why unbroken connections were
// closed. Also, a connection that was established but never used then counts as used until it is
// closed. The pool is reported until the DB or c, which has a method Close, is closed.
func Connector(
	name string,
	c driver.Connector,
	opts ...instrument.Option,
) (w driver.Connector, use func(*sql.DB), err error) {
	if c == nil {
		return nil, nil, fmt.Errorf("sql pool %q: the connector is nil, expected a driver.Connector", name)
	}
	if instrument.TimingOf(opts...).Off {
		return c, func(*sql.DB) {}, nil
	}
	p := newPool(opts)
	reg, err := instrument.Observe(name, Kind, p.stats, withConventions(name, opts)...)
	if err != nil {
		return nil, nil, err
	}
	return &connector{Connector: c, pool: p, reg: reg}, p.setDB, nil
}

// setDB sets the DB whose statistics the pool adds to its own.
func (p *pool) setDB(db *sql.DB) {
	p.Lock()
	defer p.Unlock()
	p.db = db.Stats
}

// Open is like [sql.Open], with the metrics of [OpenDB]. It passes the data source name to the
// driver twice.
func Open(name, driverName, dataSourceName string, opts ...instrument.Option) (*sql.DB, error) {
	// sql.Open, which does not connect, is the only way to look up a driver by name
	probe, err := sql.Open(driverName, dataSourceName)
	if err != nil {
		return nil, err
	}
	d := probe.Driver()
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("sql pool %q: closing the temporary DB used to look up the driver: %w", name, err)
	}
	var c driver.Connector = dsn{dataSourceName, d}
	if dc, ok := d.(driver.DriverContext); ok {
		if c, err = dc.OpenConnector(dataSourceName); err != nil {
			return nil, err
		}
	}
	db, err := OpenDB(name, c, opts...)
	if closer, ok := c.(io.Closer); ok && err != nil {
		_ = closer.Close() // returning err is more important
	}
	return db, err
}

// DriverConn returns the driver's own connection, given the connection that [sql.Conn.Raw] passes
// to its callback.
func DriverConn(conn any) any {
	if c, ok := conn.(interface{ driverConn() driver.Conn }); ok {
		return c.driverConn()
	}
	return conn
}

// dsn is a connector for drivers that do not implement driver.DriverContext.
type dsn struct {
	name   string
	driver driver.Driver
}

// Connect implements driver.Connector.
func (d dsn) Connect(context.Context) (driver.Conn, error) { return d.driver.Open(d.name) }

// Driver implements driver.Connector.
func (d dsn) Driver() driver.Driver { return d.driver }

// connector establishes a pool's connections.
type connector struct {
	driver.Connector
	pool *pool
	reg  *instrument.Registration
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	start := c.pool.connecting()
	inner, err := c.Connector.Connect(ctx)
	w := &conn{Conn: inner, pool: c.pool}
	c.pool.connected(start, w, err)
	if err != nil {
		return nil, err
	}
	return withInterfaces(w), nil
}

// Close implements io.Closer. Closing the DB calls it.
func (c *connector) Close() error {
	c.pool.Close()
	c.reg.Close()
	if closer, ok := c.Connector.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}
