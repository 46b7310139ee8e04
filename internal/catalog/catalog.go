// Package catalog is the table of all metrics that poolgauge emits: name, instrument, unit,
// attributes and meaning.
//
// Code that emits a metric refers to its row in this table, and docs/metrics.md is generated from
// it. A test verifies that every listed metric is emitted and every emitted one is listed. No other
// code that emits metrics spells out their names.
//
// Units are UCUM; times are in seconds and sizes in bytes. Rows with [Metric.Standard] set take
// name, unit, instrument and attributes from the OpenTelemetry semantic conventions, version 1.43.
// Other rows exist only where there is no convention.
//
// The package contains only data, and imports only OpenTelemetry's attribute keys, so it is cheap
// to import.
package catalog

//go:generate go run ./gen

import "go.opentelemetry.io/otel/attribute"

// Kind is the kind of OpenTelemetry instrument that records a metric.
type Kind uint8

// The instruments in use. A metric that is read at collection time uses the observable form of the
// same instrument.
const (
	Counter       Kind = iota // a sum that only grows
	UpDownCounter             // a sum that may fall, and that may be added up over series
	Gauge                     // a value that must not be added up over series
	Histogram                 // a distribution
)

func (k Kind) String() string {
	return [...]string{"counter", "updowncounter", "gauge", "histogram"}[k]
}

// Number is the numeric type of a metric's values.
type Number uint8

// Float is the zero value, since most metrics are in seconds; Int is for bytes and counts.
const (
	Float Number = iota
	Int
)

// Metric is one row of the table.
type Metric struct {
	Name       string
	Kind       Kind
	Number     Number
	Unit       string
	Help       string      // one or two sentences; exported as the description of the metric
	Attributes []Attribute // in addition to the group's
	Absent     string      // when the metric has no points, if that is not obvious
	Standard   bool        // defined by the semantic conventions
}

// Attribute is the key of an attribute of a metric's points, and its possible values. No values
// means any value.
type Attribute struct {
	Key    attribute.Key
	Values []string
	Help   string
}

// Group holds the metrics of one origin, such as a source of the sidecar, the probes, or the pools.
type Group struct {
	Name       string
	Help       string
	Attributes []Attribute // on every point of the group, where known
	Metrics    []*Metric
}

// Groups returns all groups in the order of the documentation. The result is shared and must not be
// modified.
func Groups() []*Group {
	return []*Group{
		Host,
		Container,
		Pressure,
		Process,
		Network,
		FileSystem,
		Probe,
		Relay,
		Sidecar,
		Runtime,
		Pool,
		Run,
		DBClient,
		HTTPClient,
	}
}

// Each calls f for every row of every group.
func Each(f func(*Group, *Metric)) {
	for _, g := range Groups() {
		for _, m := range g.Metrics {
			f(g, m)
		}
	}
}
