// Package wraphttp instruments net/http's connections as pools of the kind http: a client's
// connections with [Transport], and a server's with [Listener].
//
// The package is separate from instrument so that instrument itself does not import net/http.
// (OpenTelemetry's API, which instrument imports, does.)
package wraphttp

// Kind is the value of poolgauge.pool.kind for this package's pools.
const Kind = "http"
