package source

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
)

// processIdentity returns the attributes that all points about a process have.
func processIdentity(pid int, name string) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.ProcessPID(pid), semconv.ProcessExecutableName(name)}
}

// attributes returns Attributes with the key-value pairs in both base and more.
func attributes(
	start *collector.StartTime,
	base []attribute.KeyValue,
	more ...attribute.KeyValue,
) *collector.Attributes {
	return collector.NewAttributes(start, append(base[:len(base):len(base)], more...)...)
}
