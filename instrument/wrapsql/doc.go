// Package wrapsql reports database/sql as a pool of connections, of the kind sql. There are two
// ways:
//
//	reg, err := wrapsql.DB("orders", db)                  // a *sql.DB that you have
//	db, err := wrapsql.Open("orders", "pgx", dsn)         // instead of sql.Open
//	db, err := wrapsql.OpenDB("orders", connector)        // instead of sql.OpenDB
//
// [DB] reads [sql.DB.Stats] at each collection and changes nothing: it does not slow down queries.
// [Open] and [OpenDB] also record when each connection is made, taken and returned, and therefore
// know how long each of these takes.
//
//	| | DB | Open, OpenDB |
//	|---|---|---|
//	| limit, used, idle | yes; used includes constructing | yes, and constructing apart |
//	| how many waited, and how long in all | yes | yes |
//	| closed by max_idle, max_idle_time, max_lifetime | yes | and broken, other; and created, create_failed |
//	| time to make a connection | no | yes |
//	| uses: how many, how long, how many broke | no | yes |
//	| calls waiting now, the time of each wait, calls that gave up | no | no: database/sql does not report it |
//
// The package is separate from instrument so that a program without a database does not import
// database/sql.
package wrapsql

// Kind is the kind of all pools that the package reports.
const Kind = "sql"
