// Package wrapsql instruments the connection pools of database/sql, as pools of kind sql:
//
//	reg, err := wrapsql.DB("orders", db)                  // for a *sql.DB that you already have
//	db, err := wrapsql.Open("orders", "pgx", dsn)         // instead of sql.Open
//	db, err := wrapsql.OpenDB("orders", connector)        // instead of sql.OpenDB
//
// [DB] only reads [sql.DB.Stats] at each collection, so it does not slow down queries. [Open] and
// [OpenDB] also record when each connection is established, taken and returned, so they can report
// how long it takes to connect and how long each use lasts.
//
//	| | DB | Open, OpenDB |
//	|---|---|---|
//	| limit, used, idle | yes; used includes constructing | yes, and constructing separately |
//	| how many waited, and how long in total | yes | yes |
//	| closed by max_idle, max_idle_time, max_lifetime | yes | and broken, other; and created, create_failed |
//	| time to establish a connection | no | yes |
//	| uses: how many, how long, how many ended with a broken connection | no | yes |
//	| calls waiting now, how long each waited, calls that gave up | no | no: database/sql does not report it |
//
// The package is separate from instrument so that a program without a database does not import
// database/sql.
package wrapsql

// Kind is the value of poolgauge.pool.kind for this package's pools.
const Kind = "sql"
