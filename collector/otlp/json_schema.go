package otlp

import (
	"cmp"
	"slices"
	"sync"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// message says how an object of JSON becomes a message.
type message struct {
	byLength [][]name // the names of its fields, by their length
}

type name struct {
	text  string
	field *field
}

// field is one field of a message.
type field struct {
	name      string // as in JSON
	kind      kind
	tag       uint64 // with the wire type of a single value
	packedTag uint64 // of a list of numbers; 0 for any other field
	bit       uint64 // of the field in its message
	list      bool
	present   bool // even if it is 0: optional, or of a oneof
	oneof     bool
	alone     bool // of a oneof of messages, of which the second would cost what the first holds
	signed    bool
	bits      int // of an integer
	size      int // of an ID
	wire      wire
	message   *message
	enum      map[string]int32
}

// kind is how a value is written in JSON.
type kind uint8

const (
	asString kind = iota + 1 // a string, or null for the empty one
	asBase64                 // bytes
	asHex                    // the ID of a trace or a span, or the empty string
	asBool
	asInteger // a number or a string
	asDouble  // a number or a string
	asEnum    // a number or a name
	asObject
)

// wire is how a number is written in protobuf.
type wire uint8

const (
	varint wire = iota
	zigzag
	fixed32
	fixed64
)

// field finds a field by either of its names; nil if there is none.
func (m *message) field(key []byte) *field {
	if len(key) >= len(m.byLength) {
		return nil
	}
	for i := range m.byLength[len(key)] {
		if n := &m.byLength[len(key)][i]; n.text == string(key) {
			return n.field
		}
	}
	return nil
}

// tables holds a message for each of those that requests are made of, from their descriptors, so
// that a field that comes with a newer go.opentelemetry.io/proto is taken as well.
type tables struct {
	messages map[protoreflect.FullName]*message
	roots    map[Signal]*message
}

func (t *tables) root(s Signal) *message { return t.roots[s] }

var schema = sync.OnceValue(func() *tables {
	t := &tables{messages: map[protoreflect.FullName]*message{}, roots: map[Signal]*message{}}
	// These are the requests, under names that do not bring a gRPC gateway along.
	t.roots[Metrics] = t.add((&metricspb.MetricsData{}).ProtoReflect().Descriptor())
	t.roots[Traces] = t.add((&tracepb.TracesData{}).ProtoReflect().Descriptor())
	t.roots[Logs] = t.add((&logspb.LogsData{}).ProtoReflect().Descriptor())
	return t
})

func (t *tables) add(d protoreflect.MessageDescriptor) *message {
	if m := t.messages[d.FullName()]; m != nil {
		return m
	}
	m := &message{}
	t.messages[d.FullName()] = m // before its fields: an AnyValue holds AnyValues
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		f := t.newField(fd)
		f.bit = 1 << i
		m.addName(fd.JSONName(), f)
		if string(fd.Name()) != fd.JSONName() {
			m.addName(string(fd.Name()), f)
		}
	}
	for _, names := range m.byLength { // camelCase first, since that is what OTLP demands
		slices.SortStableFunc(names, func(a, b name) int {
			return cmp.Compare(boolToInt(a.text != a.field.name), boolToInt(b.text != b.field.name))
		})
	}
	return m
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *message) addName(s string, f *field) {
	for len(m.byLength) <= len(s) {
		m.byLength = append(m.byLength, nil)
	}
	m.byLength[len(s)] = append(m.byLength[len(s)], name{s, f})
}

func (t *tables) newField(fd protoreflect.FieldDescriptor) *field {
	f := &field{name: fd.JSONName(), list: fd.IsList(), present: fd.HasPresence()}
	typ := protowire.VarintType
	switch fd.Kind() {
	case protoreflect.StringKind:
		f.kind, typ = asString, protowire.BytesType
	case protoreflect.BytesKind:
		f.kind, typ = asBase64, protowire.BytesType
		if size := idSizes[fd.Name()]; size > 0 {
			f.kind, f.size = asHex, size
		}
	case protoreflect.MessageKind:
		f.kind, typ = asObject, protowire.BytesType
		f.message = t.add(fd.Message())
	case protoreflect.BoolKind:
		f.kind = asBool
	case protoreflect.EnumKind:
		f.kind, f.enum = asEnum, map[string]int32{}
		f.signed, f.bits = true, 32
		for i := range fd.Enum().Values().Len() {
			v := fd.Enum().Values().Get(i)
			f.enum[string(v.Name())] = int32(v.Number())
		}
	case protoreflect.DoubleKind:
		f.kind, f.wire, typ = asDouble, fixed64, protowire.Fixed64Type
	default:
		typ = f.setInteger(fd.Kind())
	}
	f.tag = protowire.EncodeTag(fd.Number(), typ)
	if fd.IsPacked() {
		f.packedTag = protowire.EncodeTag(fd.Number(), protowire.BytesType)
	}
	if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		f.oneof, f.alone = true, onlyMessages(o)
	}
	return f
}

// idSizes holds the size in bytes of the fields that are in hex.
var idSizes = map[protoreflect.Name]int{"trace_id": 16, "span_id": 8, "parent_span_id": 8}

func (f *field) setInteger(k protoreflect.Kind) protowire.Type {
	f.kind, f.bits = asInteger, 64
	switch k {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Sint32Kind,
		protoreflect.Sint64Kind, protoreflect.Sfixed32Kind, protoreflect.Sfixed64Kind:
		f.signed = true
	}
	switch k {
	case protoreflect.Int32Kind, protoreflect.Uint32Kind:
		f.bits = 32
	case protoreflect.Sint32Kind:
		f.bits, f.wire = 32, zigzag
	case protoreflect.Sint64Kind:
		f.wire = zigzag
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		f.bits, f.wire = 32, fixed32
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		f.wire = fixed64
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

func onlyMessages(o protoreflect.OneofDescriptor) bool {
	for i := range o.Fields().Len() {
		if o.Fields().Get(i).Kind() != protoreflect.MessageKind {
			return false
		}
	}
	return true
}
