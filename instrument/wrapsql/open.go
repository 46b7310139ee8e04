package wrapsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"

	"github.com/poolgauge/poolgauge/instrument"
)

// OpenDB is like [sql.OpenDB], but reports the DB under name. It reports everything that [DB] does
// and, because it wraps the driver's connections,
//
//   - connections made, and the time to make one, by the type of error if it failed,
//   - connections being made, separately from those in use,
//   - uses of a connection: how long each was, how long the oldest has lasted, and whether the
//     connection broke. A use begins when the connection is made or taken again. A query with rows
//     uses it until the rows are closed, a transaction until its end. If database/sql retries after
//     [driver.ErrBadConn], each attempt is a use,
//   - connections closed because they were broken, or for reasons that database/sql does not count,
//     as other.
//
// Statements, rows and results are those of the driver. A connection has exactly those optional
// interfaces of the driver's connection that make a difference to database/sql, so every call takes
// the same path as before. One thing is different: the function passed to [sql.Conn.Raw] must call
// [DriverConn] to get the connection of the driver. Use [DB] if that is not possible.
//
// The report ends when the DB is closed. A use costs two locks and two readings of the clock; the
// clock is not read above 100,000 uses a second. OpenDB returns an error if a live pool has the
// same name.
func OpenDB(name string, c driver.Connector, opts ...instrument.Option) (*sql.DB, error) {
	w, use, err := Connector(name, c, opts...)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(w)
	use(db)
	return db, nil
}

// Connector is like [OpenDB], for a program that creates the DB itself, for example with another
// library that wraps connectors:
//
//	c, use, err := wrapsql.Connector("orders", connector)
//	db := otelsql.OpenDB(c)
//	use(db)
//
// The other library may wrap c or be wrapped by it. If use is not called, the figures that only
// [sql.DB.Stats] has are absent: limit, waits, and the reasons for closing connections that are not
// broken; and a connection that was made but never used counts as used until it is closed. The
// report ends when the DB or c is closed; c has a method Close.
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
	return &connector{Connector: c, pool: p, reg: reg}, p.follow, nil
}

// follow sets the DB of the pool.
func (p *pool) follow(db *sql.DB) {
	p.Lock()
	defer p.Unlock()
	p.db = db.Stats
}

// Open is like [sql.Open], with the telemetry of [OpenDB]. The data source name is passed to the
// driver twice.
func Open(name, driverName, dataSourceName string, opts ...instrument.Option) (*sql.DB, error) {
	// sql.Open is the only way to look up a driver by name; it does not connect
	probe, err := sql.Open(driverName, dataSourceName)
	if err != nil {
		return nil, err
	}
	d := probe.Driver()
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("sql pool %q: close the DB that was opened to look up the driver: %w", name, err)
	}
	var c driver.Connector = dsn{dataSourceName, d}
	if dc, ok := d.(driver.DriverContext); ok {
		if c, err = dc.OpenConnector(dataSourceName); err != nil {
			return nil, err
		}
	}
	db, err := OpenDB(name, c, opts...)
	if closer, ok := c.(io.Closer); ok && err != nil {
		_ = closer.Close() // err is more important
	}
	return db, err
}

// DriverConn returns the driver's own connection, given the one that [sql.Conn.Raw] passes to its
// function.
func DriverConn(conn any) any {
	if c, ok := conn.(interface{ driverConn() driver.Conn }); ok {
		return c.driverConn()
	}
	return conn
}

// dsn is the connector for a driver that does not implement driver.DriverContext.
type dsn struct {
	name   string
	driver driver.Driver
}

// Connect implements driver.Connector.
func (d dsn) Connect(context.Context) (driver.Conn, error) { return d.driver.Open(d.name) }

// Driver implements driver.Connector.
func (d dsn) Driver() driver.Driver { return d.driver }

// connector makes the connections of a pool.
type connector struct {
	driver.Connector
	pool *pool
	reg  *instrument.Registration
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	start := c.pool.connecting()
	made, err := c.Connector.Connect(ctx)
	w := &conn{Conn: made, pool: c.pool}
	c.pool.connected(start, w, err)
	if err != nil {
		return nil, err
	}
	return withInterfaces(w), nil
}

// Close is called when the DB is closed.
func (c *connector) Close() error {
	c.pool.Close()
	c.reg.Close()
	if closer, ok := c.Connector.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}
