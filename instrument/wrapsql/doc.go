// Package wrapsql reports database/sql as a pool of connections, of the kind sql.
//
//	reg, err := wrapsql.DB("orders", db) // once, where db was made
//	…
//	reg.Close()
//
// [DB] reads [sql.DB.Stats] at each collection and changes nothing: it costs a query nothing at all.
//
// The package is apart from instrument so that a program without a database does not get database/sql.
package wrapsql

// Kind is the kind of pool that everything here is reported as.
const Kind = "sql"
