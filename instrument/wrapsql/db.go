package wrapsql

import (
	"database/sql"
	"fmt"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/conventions"
)

// DB reports db under a name, until the Registration is closed. Each collection takes one snapshot
// of [sql.DB.Stats]:
//
//   - the limit, if [sql.DB.SetMaxOpenConns] set one,
//   - connections in use and idle; database/sql counts one that is being made as in use,
//   - how many calls had to wait for a connection, and the time they waited, as counters: how that
//     time is spread over the calls is not known. A call counts when its wait begins, and its time
//     when it ends, in a connection or in giving up,
//   - connections closed for being more than [sql.DB.SetMaxIdleConns] (max_idle), by
//     [sql.DB.SetConnMaxIdleTime] (max_idle_time) and by [sql.DB.SetConnMaxLifetime]
//     (max_lifetime). Those that broke, or ended with the database, database/sql does not count.
//
// Who waits now, how many calls there were, and how long a connection is used or takes to make
// cannot be known from outside.
//
// A collection takes one lock of db for about 0.1 µs. Close the Registration before or after db; it
// does not close db.
func DB(name string, db *sql.DB, opts ...instrument.Option) (*instrument.Registration, error) {
	if db == nil {
		return nil, fmt.Errorf("sql pool %q: the *sql.DB is nil: want one that is open", name)
	}
	return instrument.Observe(
		name,
		Kind,
		func() instrument.Stats { return statsOf(db.Stats()) },
		withConventions(name, opts)...)
}

func withConventions(name string, opts []instrument.Option) []instrument.Option {
	return append(opts[:len(opts):len(opts)], conventions.DB(name))
}

// statsOf says in the words of the model what database/sql says.
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
