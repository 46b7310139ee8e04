// Package wraphttp reports the connections of net/http as pools of the kind http: those of a client
// by [Transport], those of a server by [Listener].
//
// The package is apart from instrument so that nothing of ours brings net/http to a program without
// it; OpenTelemetry's API does.
package wraphttp

// Kind is the kind of pool that everything here is reported as.
const Kind = "http"
