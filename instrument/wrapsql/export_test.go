package wrapsql

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/poolgauge/poolgauge/instrument"
)

// StatsOf exports statsOf for tests.
var StatsOf = statsOf

// OpenDBStats is like OpenDB, but also returns the stats function that collections call.
func OpenDBStats(name string, c driver.Connector, opts ...instrument.Option) (*sql.DB, func() instrument.Stats, error) {
	db, err := OpenDB(name, c, opts...)
	if err != nil {
		return nil, nil, err
	}
	sqlConn, err := db.Conn(context.Background())
	if err != nil {
		return nil, nil, err
	}
	defer sqlConn.Close()
	var p *pool
	err = sqlConn.Raw(func(raw any) error {
		p = raw.(*conn).pool
		return nil
	})
	return db, p.stats, err
}
