// Package promql builds queries for the metrics of the table, with the names that they have in
// Prometheus when they arrive over OTLP.
//
// Dashboards are generated with it from rows of [catalog], so that a metric, attribute or value
// that was renamed or does not exist stops the generator. It is for generators and tests: it panics
// if a query does not fit the table.
package promql

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// unitSuffixes has the suffixes that the translation appends for the units of the table. Other
// units have none.
var unitSuffixes = map[string]string{"s": "seconds", "By": "bytes", "%": "percent"}

// Name returns the name of m in Prometheus, translated as its OTLP receiver, Mimir and the
// Collector's exporters do by default (UnderscoreEscapingWithSuffixes): dots become underscores,
// followed by the unit, "total" for counters and "ratio" for gauges of unit 1. Histograms with
// explicit buckets have further suffixes. A test in e2e/prometheus compares the result with the
// translator's.
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

// Label returns the name of an attribute as a Prometheus label.
func Label(key attribute.Key) string {
	return strings.ReplaceAll(string(key), ".", "_")
}

// Labels is [Label] for several keys.
func Labels(keys ...attribute.Key) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = Label(k)
	}
	return names
}
