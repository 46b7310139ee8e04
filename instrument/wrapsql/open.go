package wrapsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"

	"github.com/poolgauge/poolgauge/instrument"
)

// OpenDB is [sql.OpenDB] with telemetry: what [DB] reports, and by looking on where database/sql
// meets the driver
//
//   - connections made, and the time to make one, by the type of error if it failed,
//   - connections that are being made, apart from those in use,
//   - uses of a connection, how long each was, how long the oldest has lasted, and whether the
//     connection broke. A query with rows uses it until they are closed, a transaction until its
//     end. It begins when the connection is made, or taken again. Each attempt is one, where
//     database/sql tries again after [driver.ErrBadConn],
//   - connections closed for being broken, and for reasons that database/sql does not count, as
//     other.
//
// Statements, rows and results are the driver's own. A connection has exactly the optional
// interfaces of the driver's that make a difference to database/sql, so that every call takes the
// way that it took. One thing is different: the function given to [sql.Conn.Raw] must ask
// [DriverConn] for the connection of the driver. Use [DB] if that cannot be.
//
// The report ends when the DB is closed. A use costs two locks and two readings of the clock, which
// are left out above 100,000 uses a second. It is an error if a live pool has the name.
func OpenDB(name string, c driver.Connector, opts ...instrument.Option) (*sql.DB, error) {
	w, use, err := Connector(name, c, opts...)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(w)
	use(db)
	return db, nil
}

// Connector is [OpenDB] for a program that makes the DB itself, such as with a library that wraps
// connectors too:
//
//	c, use, err := wrapsql.Connector("orders", connector)
//	db := otelsql.OpenDB(c)
//	use(db)
//
// The other library may be below or above. Without a call of use, what only [sql.DB.Stats] tells is
// absent: limit, waits, and why connections were closed that are not broken; and a connection that
// was made and never used counts as used until it is closed. The report ends when the DB is closed,
// or c, which has a method Close.
func Connector(
	name string,
	c driver.Connector,
	opts ...instrument.Option,
) (w driver.Connector, use func(*sql.DB), err error) {
	if c == nil {
		return nil, nil, fmt.Errorf("sql pool %q: the connector is nil", name)
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

// follow notes the DB of the pool.
func (p *pool) follow(db *sql.DB) {
	p.Lock()
	defer p.Unlock()
	p.db = db.Stats
}

// Open is [sql.Open] with the telemetry of [OpenDB]. The driver sees the data source name twice.
func Open(name, driverName, dataSourceName string, opts ...instrument.Option) (*sql.DB, error) {
	// the only way to the driver of a name; it connects to nothing
	probe, err := sql.Open(driverName, dataSourceName)
	if err != nil {
		return nil, err
	}
	d := probe.Driver()
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("sql pool %q: close what led to the driver: %w", name, err)
	}
	var c driver.Connector = dsn{dataSourceName, d}
	if dc, ok := d.(driver.DriverContext); ok {
		if c, err = dc.OpenConnector(dataSourceName); err != nil {
			return nil, err
		}
	}
	db, err := OpenDB(name, c, opts...)
	if closer, ok := c.(io.Closer); ok && err != nil {
		_ = closer.Close() // the other error matters more
	}
	return db, err
}

// DriverConn returns the driver's own connection of what [sql.Conn.Raw] hands to its function.
func DriverConn(conn any) any {
	if c, ok := conn.(interface{ driverConn() driver.Conn }); ok {
		return c.driverConn()
	}
	return conn
}

// dsn is the connector of a driver that has none.
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
