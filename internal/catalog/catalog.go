// Package catalog is the one table of every metric that poolgauge emits: name, instrument, unit,
// attributes and meaning.
//
// Code that emits a metric refers to its row here, docs/metrics.md is generated from it, and a test
// compares it in both directions with what is really emitted. Nothing else in the repository spells
// a metric's name.
//
// Units are UCUM, time is in seconds and size in bytes. Rows marked [Standard] take name, unit,
// instrument and attributes from the OpenTelemetry semantic conventions, version 1.43; the others
// exist only where there is no convention.
//
// The package holds data and imports only OpenTelemetry's attribute keys: it costs an importer
// nothing.
package catalog

//go:generate go run ./gen

import "go.opentelemetry.io/otel/attribute"

// Kind is the OpenTelemetry instrument that a metric is recorded with.
type Kind uint8

// The instruments in use. A metric that is read at collection time uses the observable form of the
// same instrument.
const (
	Counter       Kind = iota // a sum that only grows
	UpDownCounter             // a sum that may be added up over series
	Gauge                     // a value whose sum over series means nothing
	Histogram                 // a distribution
)

func (k Kind) String() string {
	return [...]string{"counter", "updowncounter", "gauge", "histogram"}[k]
}

// Number is the type of a metric's points.
type Number uint8

// Float is the default, since most figures are seconds; Int is for bytes and counts.
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
	Help       string      // one sentence or two, as it goes out with the metric
	Attributes []Attribute // besides those of the group
	Absent     string      // when there is no point, where that is not obvious
	Standard   bool        // named by the semantic conventions
}

// Attribute is a key that the points of a metric carry, and the values that it takes; no values
// means an open set.
type Attribute struct {
	Key    attribute.Key
	Values []string
	Help   string
}

// Group is the metrics of one origin: a source of the sidecar, its probes, or the pools.
type Group struct {
	Name       string
	Help       string
	Attributes []Attribute // on every point of the group, where known
	Metrics    []*Metric
}

// Groups returns the whole table in the order of the documentation. The result is shared: do not
// change it.
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

// Each calls f for every row of the table.
func Each(f func(*Group, *Metric)) {
	for _, g := range Groups() {
		for _, m := range g.Metrics {
			f(g, m)
		}
	}
}
