package collector

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// processIdentity are the attributes of every point of a process.
func processIdentity(pid int, name string) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.ProcessPID(pid), semconv.ProcessExecutableName(name)}
}

// with builds a set of base and more; [With] keeps no reference to its arguments.
func with(birth *Birth, base []attribute.KeyValue, more ...attribute.KeyValue) *Attributes {
	return With(birth, append(base[:len(base):len(base)], more...)...)
}
