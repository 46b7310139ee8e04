// Package e2e tests the sidecar's binary from the outside: with a real Collector, with upstreams
// that fail in every way that OTLP defines, and with invalid input. It is a separate module, so
// that poolgauge does not depend on the Collector.
package e2e
