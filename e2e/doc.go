// Package e2e tests the sidecar's real binary from outside: against a real Collector, against
// upstreams that fail in every way that OTLP defines, and with invalid input. It is a module of its
// own, so that poolgauge does not depend on the Collector.
package e2e
