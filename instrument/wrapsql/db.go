package wrapsql

import (
	"database/sql"
	"fmt"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/conventions"
)

// DB reports metrics for db under name until the Registration is closed. Each collection takes one
// snapshot with [sql.DB.Stats]. It reports
//
//   - the limit, if [sql.DB.SetMaxOpenConns] was called,
//   - connections in use and idle; database/sql counts a connection that is being established as in
//     use,
//   - how many calls had to wait for a connection, and their total wait time; the duration of each
//     wait is unknown. A call is counted when its wait begins. Its wait time is added when the wait
//     ends, with or without a connection,
//   - connections closed because of [sql.DB.SetMaxIdleConns] (max_idle),
//     [sql.DB.SetConnMaxIdleTime] (max_idle_time) and [sql.DB.SetConnMaxLifetime] (max_lifetime).
//     database/sql does not count connections that broke or were closed with the DB.
//
// How many calls are waiting, how many calls there were, how long connections are used, and how
// long connecting takes cannot be determined from outside database/sql.
//
// A collection holds db's lock for about 0.1 µs. Closing the Registration does not close db; the
// two may be closed in either order.
func DB(name string, db *sql.DB, opts ...instrument.Option) (*instrument.Registration, error) {
	if db == nil {
		return nil, fmt.Errorf("sql pool %q: the *sql.DB is nil, expected a non-nil one", name)
	}
	return instrument.Observe(
		name,
		Kind,
		func() instrument.Stats { return statsOf(db.Stats()) },
		withConventions(name, opts)...)
}

// withConventions adds the option that reports the pool under semantic-convention metric names.
func withConventions(name string, opts []instrument.Option) []instrument.Option {
	return append(opts[:len(opts):len(opts)], conventions.DB(name))
}

// statsOf converts database/sql's statistics to instrument.Stats.
func statsOf(d sql.DBStats) (s instrument.Stats) {
	if d.MaxOpenConnections > 0 {
		s.Limit = instrument.Some(int64(d.MaxOpenConnections))
	}
	s.Usage[instrument.Used] = instrument.Some(int64(d.InUse))
	s.Usage[instrument.Idle] = instrument.Some(int64(d.Idle))
	s.Waits = instrument.Some(d.WaitCount)
	s.WaitTime = instrument.Some(d.WaitDuration.Seconds())
	s.Resources = []instrument.Resources{
		{Event: instrument.Ended, Reason: "max_idle", Count: d.MaxIdleClosed},
		{Event: instrument.Ended, Reason: "max_idle_time", Count: d.MaxIdleTimeClosed},
		{Event: instrument.Ended, Reason: "max_lifetime", Count: d.MaxLifetimeClosed},
	}
	return s
}
