// Package wraphttp reports the connections of net/http as pools of the kind http: those of a client
// with [Transport], those of a server with [Listener].
//
// The package is separate from instrument, so that instrument itself does not import net/http;
// OpenTelemetry's API does.
package wraphttp

// Kind is the kind of all pools that the package reports.
const Kind = "http"
