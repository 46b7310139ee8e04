package otlp

import (
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// MetricKind is the kind of a metric's points.
type MetricKind uint8

// The kinds of points that [EachMetric] reads. Summaries are not supported.
const (
	GaugePoints MetricKind = iota + 1
	SumPoints
	HistogramPoints
	ExponentialPoints
)

// Metric is one metric of a request, in wire format. It aliases the request's memory.
type Metric struct {
	Name      []byte
	Kind      MetricKind
	Delta     bool // delta temporality: a value covers only the time since the previous point
	Monotonic bool
	data      []byte
}

// Point is one data point. It aliases the request's memory. A time of 0 means unknown.
type Point struct {
	Start, Time uint64   // nanoseconds since the Unix epoch
	Number      float64  // value of a gauge or sum; sum of a histogram
	Missing     bool     // the no-recorded-value flag is set
	Attributes  [][]byte // each a KeyValue in wire format
	Wire        []byte   // the whole point in wire format
}

// EachMetric calls f for each metric in data, a serialized ExportMetricsServiceRequest, if want
// returns true for the metric's name. resource is the serialized Resource that the metric belongs
// to. EachMetric does not parse points, so skipping a metric takes only nanoseconds, no matter how
// many points it has. Errors wrap [ErrMalformed].
func EachMetric(data []byte, want func(name []byte) bool, f func(resource []byte, m *Metric)) error {
	groups := fields{rest: data}
	for groups.next() {
		if !groups.is(requestGroups) {
			continue
		}
		if err := eachOfGroup(groups.value, want, f); err != nil {
			return err
		}
	}
	return groups.err
}

func eachOfGroup(group []byte, want func(name []byte) bool, f func(resource []byte, m *Metric)) error {
	var resource []byte
	in := fields{rest: group}
	for in.next() { // the resource may come after the scopes
		if in.is(groupResource) {
			resource = in.value
		}
	}
	if in.err != nil {
		return in.err
	}
	var m Metric
	in = fields{rest: group}
	for in.next() {
		if !in.is(groupScopes) {
			continue
		}
		scope := fields{rest: in.value}
		for scope.next() {
			if scope.is(scopeRecords) && m.read(scope.value) && want(m.Name) {
				m.readKind()
				f(resource, &m)
			}
		}
		if scope.err != nil {
			return scope.err
		}
	}
	return in.err
}

// read sets the name, kind and data of m from metric. It returns false if the metric has no points
// of a supported kind.
func (m *Metric) read(metric []byte) bool {
	*m = Metric{}
	f := fields{rest: metric}
	for f.next() {
		switch {
		case f.is(1):
			m.Name = f.value
		case f.is(5):
			m.Kind, m.data = GaugePoints, f.value
		case f.is(7):
			m.Kind, m.data = SumPoints, f.value
		case f.is(9):
			m.Kind, m.data = HistogramPoints, f.value
		case f.is(10):
			m.Kind, m.data = ExponentialPoints, f.value
		}
	}
	return f.err == nil && m.data != nil
}

// readKind reads the fields that apply to all of the metric's points.
func (m *Metric) readKind() {
	f := fields{rest: m.data}
	for f.next() {
		switch f.num {
		case 2:
			const delta = 1
			m.Delta = f.varint() == delta
		case 3:
			m.Monotonic = f.varint() != 0
		}
	}
}

// EachPoint calls f for each point of m. It stores the point in p, where it is valid until f
// returns. Errors wrap [ErrMalformed].
func (m *Metric) EachPoint(p *Point, f func(p *Point)) error {
	in := fields{rest: m.data}
	for in.next() {
		if !in.is(dataPoints) {
			continue
		}
		*p = Point{Wire: in.value, Attributes: p.Attributes[:0]}
		if err := p.read(m.Kind); err != nil {
			return err
		}
		f(p)
	}
	return in.err
}

// Exemplar is an example of the measurements behind a point. It aliases the request's memory.
type Exemplar struct {
	Number     float64
	Trace      []byte   // 16 bytes; empty if absent
	Attributes [][]byte // attributes that the point does not have, each a KeyValue in wire format
}

// EachExemplar calls f for each exemplar of p, a point of the given kind. It stores the exemplar in
// e, where it is valid until f returns. It skips malformed exemplars.
func (p *Point) EachExemplar(kind MetricKind, e *Exemplar, f func(e *Exemplar)) {
	in := fields{rest: p.Wire}
	for in.next() {
		if in.is(exemplarsOf[kind]) && e.read(in.value) {
			f(e)
		}
	}
}

// exemplarsOf holds, for each kind of point, the field number of exemplars.
var exemplarsOf = [...]protowire.Number{GaugePoints: 5, SumPoints: 5, HistogramPoints: 8, ExponentialPoints: 11}

func (e *Exemplar) read(wire []byte) bool {
	*e = Exemplar{Attributes: e.Attributes[:0]}
	f := fields{rest: wire}
	for f.next() {
		switch {
		case f.is(7):
			e.Attributes = append(e.Attributes, f.value)
		case f.is(5) && len(f.value) == 16:
			e.Trace = f.value
		case f.num == 3:
			e.Number = math.Float64frombits(f.fixed64())
		case f.num == 6:
			e.Number = float64(int64(f.fixed64()))
		}
	}
	return f.err == nil
}

// attributesOf holds, for each kind of point, the field number of attributes.
var attributesOf = [...]protowire.Number{GaugePoints: 7, SumPoints: 7, HistogramPoints: 9, ExponentialPoints: 1}

// flagsOf holds, for each kind of point, the field number of flags.
var flagsOf = [...]protowire.Number{GaugePoints: 8, SumPoints: 8, HistogramPoints: 10, ExponentialPoints: 10}

func (p *Point) read(kind MetricKind) error {
	plain := kind == GaugePoints || kind == SumPoints
	f := fields{rest: p.Wire}
	for f.next() {
		switch {
		case f.is(attributesOf[kind]):
			p.Attributes = append(p.Attributes, f.value)
		case f.num == flagsOf[kind]:
			p.Missing = f.varint()&1 != 0
		case f.num == 2:
			p.Start = f.fixed64()
		case f.num == 3:
			p.Time = f.fixed64()
		case f.num == 4 && plain:
			p.Number = math.Float64frombits(f.fixed64())
		case f.num == 5 && !plain: // the sum
			p.Number = math.Float64frombits(f.fixed64())
		case f.num == 6 && plain:
			p.Number = float64(int64(f.fixed64()))
		}
	}
	return f.err
}

// Attribute returns the key and value in kv, a serialized KeyValue. A string value aliases kv's
// memory, a number or boolean is formatted as Prometheus formats it, and any other value is empty.
func Attribute(kv []byte) (key, value []byte) {
	f := fields{rest: kv}
	for f.next() {
		switch {
		case f.is(keyValueKey):
			key = f.value
		case f.is(2):
			value = scalar(f.value)
		}
	}
	return key, value
}

// scalar returns anyValue, a serialized AnyValue, as text. It returns nil if anyValue is not a
// string, boolean, integer or float.
func scalar(anyValue []byte) (text []byte) {
	f := fields{rest: anyValue}
	for f.next() {
		switch f.num {
		case 1:
			text = f.value
		case 2:
			text = strconv.AppendBool(nil, f.varint() != 0)
		case 3:
			text = strconv.AppendInt(nil, int64(f.varint()), 10)
		case 4:
			text = strconv.AppendFloat(nil, math.Float64frombits(f.fixed64()), 'g', -1, 64)
		}
	}
	return text
}

// EachAttribute calls f with the result of [Attribute] for each attribute of resource, a serialized
// Resource.
func EachAttribute(resource []byte, f func(key, value []byte)) {
	in := fields{rest: resource}
	for in.next() {
		if in.is(resourceAttrs) {
			f(Attribute(in.value))
		}
	}
}

// varint returns the value of a varint field, or 0 for any other type.
func (f *fields) varint() uint64 {
	_, kind, n := protowire.ConsumeTag(f.whole)
	if n < 0 || kind != protowire.VarintType {
		return 0
	}
	v, _ := protowire.ConsumeVarint(f.whole[n:])
	return v
}

// fixed64 returns the value of a fixed64 field, or 0 for any other type.
func (f *fields) fixed64() uint64 {
	_, kind, n := protowire.ConsumeTag(f.whole)
	if n < 0 || kind != protowire.Fixed64Type {
		return 0
	}
	v, _ := protowire.ConsumeFixed64(f.whole[n:])
	return v
}
