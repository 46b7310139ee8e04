package source

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
)

// processIdentity are the attributes of every point of a process.
func processIdentity(pid int, name string) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.ProcessPID(pid), semconv.ProcessExecutableName(name)}
}

// with builds a set of base and more; [collector.With] keeps no reference to its arguments.
func with(birth *collector.Birth, base []attribute.KeyValue, more ...attribute.KeyValue) *collector.Attributes {
	return collector.With(birth, append(base[:len(base):len(base)], more...)...)
}
