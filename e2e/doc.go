// Package e2e tests the sidecar's real binary from outside: against a real Collector, against
// upstreams that fail in every way that OTLP knows, and with input that it must refuse. It is a
// module of its own, so that the Collector stays out of ours.
package e2e
