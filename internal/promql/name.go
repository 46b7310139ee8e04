// Package promql builds queries for the metrics in package catalog, with the names that Prometheus
// gives to metrics received over OTLP.
//
// Dashboards are generated with it. If a metric, attribute or value does not exist, for example
// because it was renamed, the generator fails. The package is for generators and tests: it panics
// if a query does not match [catalog].
package promql

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// unitSuffixes maps units to the suffixes that Prometheus appends to names. Other units in package
// catalog have no suffix.
var unitSuffixes = map[string]string{"s": "seconds", "By": "bytes", "%": "percent"}

// Name returns m's name in Prometheus. It translates the name as Prometheus's OTLP receiver, Mimir
// and the Collector's exporters do by default (UnderscoreEscapingWithSuffixes): it replaces dots
// with underscores and appends the unit, "total" for counters, and "ratio" for gauges of unit 1.
// Histograms with explicit buckets have further suffixes. A test in e2e/prometheus compares the
// result with the official translator's.
func Name(m *catalog.Metric) string {
	tokens := strings.FieldsFunc(m.Name, func(r rune) bool { return r == '.' || r == '_' })
	suffix := unitSuffixes[m.Unit]
	for _, t := range tokens {
		if t == suffix {
			suffix = ""
		}
	}
	if suffix != "" {
		tokens = append(tokens, suffix)
	}
	switch {
	case m.Kind == catalog.Counter:
		tokens = append(tokens, "total")
	case m.Kind == catalog.Gauge && m.Unit == "1":
		tokens = append(tokens, "ratio")
	}
	return strings.Join(tokens, "_")
}

// Label returns the Prometheus label for the attribute key.
func Label(key attribute.Key) string {
	return strings.ReplaceAll(string(key), ".", "_")
}

// Labels is like [Label], but for several keys.
func Labels(keys ...attribute.Key) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = Label(k)
	}
	return names
}
