package wrapsql

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/poolgauge/poolgauge/instrument"
)

// StatsOf exposes statsOf, which collections use, to tests.
var StatsOf = statsOf

// OpenDBStats is OpenDB, and also returns the function that a collection calls.
func OpenDBStats(name string, c driver.Connector, opts ...instrument.Option) (*sql.DB, func() instrument.Stats, error) {
	db, err := OpenDB(name, c, opts...)
	if err != nil {
		return nil, nil, err
	}
	lent, err := db.Conn(context.Background())
	if err != nil {
		return nil, nil, err
	}
	defer lent.Close()
	var p *pool
	err = lent.Raw(func(c any) error {
		p = c.(*conn).pool
		return nil
	})
	return db, p.stats, err
}
