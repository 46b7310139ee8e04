// Package wraphttp instruments the connections of net/http as pools of the kind http: [Transport]
// those of a client, and [Listener] those of a server.
//
// The package is separate from instrument so that instrument does not import net/http directly. It
// does import it through OpenTelemetry's API.
package wraphttp

// Kind is the value of poolgauge.pool.kind for this package's pools.
const Kind = "http"
