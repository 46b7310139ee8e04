package otlp

import (
	_ "embed" // json_schema.txt
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// schemaText contains a line for each message, with the message's fields, and a line for each enum,
// with the enum's values. A field is name=number:type, with [] before the type of a list, | after
// the type of a oneof member, and ? after the type of an optional field. A test compares schemaText
// with OTLP's descriptors. Using the descriptors' Go packages instead would make the binary one
// percent larger.
//
//go:generate go test -run TestSchemaMatchesOTLP -update .
//go:embed json_schema.txt
var schemaText string

// message describes how to convert a JSON object to a protobuf message.
type message struct {
	byLength [][]name // field names by length
}

type name struct {
	text  string
	field *field
}

// field is one field of a message.
type field struct {
	name      string // in JSON
	kind      kind
	tag       uint64 // including the wire type of a single value
	packedTag uint64 // for a list of numbers; 0 for any other field
	bit       uint64 // identifies the field in its message
	list      bool
	present   bool // written even if it is 0: optional, or a member of a oneof
	oneof     bool
	exclusive bool // member of a oneof that has only messages: a second member would discard the first
	signed    bool
	bits      int // width of an integer
	size      int // size of an ID in bytes
	wire      wire
	message   *message
	enum      map[string]int32
}

// kind is the representation of a value in JSON.
type kind uint8

const (
	asString kind = iota + 1 // a string, or null for the empty string
	asBase64                 // a string of base64
	asHex                    // a trace or span ID, or the empty string
	asBool
	asInteger // a number or a string
	asDouble  // a number or a string
	asEnum    // a number or a name
	asObject
)

// wire is the protobuf encoding of a number.
type wire uint8

const (
	varint wire = iota
	zigzag
	fixed32
	fixed64
)

// field returns the field called key, in camelCase or snake_case, or nil if there is none.
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

func (m *message) addName(s string, f *field) {
	for len(m.byLength) <= len(s) {
		m.byLength = append(m.byLength, nil)
	}
	m.byLength[len(s)] = append(m.byLength[len(s)], name{s, f})
}

// tables holds the messages that requests consist of, by name.
type tables map[string]*message

// root returns the request message of s, or nil if s is unknown. In schemaText, it has the name of
// another message with the same fields.
func (t tables) root(s Signal) *message {
	return t[map[Signal]string{Metrics: "MetricsData", Traces: "TracesData", Logs: "LogsData"}[s]]
}

var schema = sync.OnceValue(func() tables {
	t, enums := tables{}, map[string]map[string]int32{}
	lines := strings.Split(strings.TrimSpace(schemaText), "\n")
	for _, line := range lines {
		words := strings.Fields(line)
		if words[0] != "enum" {
			t[words[0]] = &message{}
			continue
		}
		enums[words[1]] = map[string]int32{}
		for _, word := range words[2:] {
			value, number, _ := strings.Cut(word, "=")
			enums[words[1]][value] = int32(atoi(number))
		}
	}
	for _, line := range lines {
		if words := strings.Fields(line); words[0] != "enum" {
			t.fill(t[words[0]], words[1:], enums)
		}
	}
	return t
})

// fill sets the fields of m from words, the words after the name in m's line of schemaText.
func (t tables) fill(m *message, words []string, enums map[string]map[string]int32) {
	fields := make([]*field, len(words))
	exclusive := true
	for i, word := range words {
		snake, rest, _ := strings.Cut(word, "=")
		number, typ, _ := strings.Cut(rest, ":")
		fields[i] = t.newField(typ, protowire.Number(atoi(number)), enums)
		fields[i].name, fields[i].bit = camelCase(snake), 1<<i
		exclusive = exclusive && (!fields[i].oneof || fields[i].kind == asObject)
	}
	for _, f := range fields { // camelCase names first, because OTLP requires them
		f.exclusive = f.oneof && exclusive
		m.addName(f.name, f)
	}
	for i, f := range fields {
		if snake, _, _ := strings.Cut(words[i], "="); snake != f.name {
			m.addName(snake, f)
		}
	}
}

func (t tables) newField(typ string, number protowire.Number, enums map[string]map[string]int32) *field {
	f := &field{}
	typ, f.list = strings.CutPrefix(typ, "[]")
	typ, f.oneof = strings.CutSuffix(typ, "|")
	typ, f.present = strings.CutSuffix(typ, "?")
	f.present = f.present || f.oneof
	onWire := protowire.BytesType
	if f.message, f.enum = t[typ], enums[typ]; f.message != nil {
		f.kind = asObject
	} else {
		onWire = f.setType(typ)
	}
	f.tag = protowire.EncodeTag(number, onWire)
	if f.list && onWire != protowire.BytesType {
		f.packedTag = protowire.EncodeTag(number, protowire.BytesType)
	}
	return f
}

// setType sets the properties of f, which has the scalar type typ, and returns the protobuf wire
// type.
func (f *field) setType(typ string) protowire.Type {
	f.kind, f.bits = asInteger, 64
	switch typ {
	case "string":
		f.kind = asString
		return protowire.BytesType
	case "bytes":
		f.kind = asBase64
		return protowire.BytesType
	case "hex8", "hex16":
		f.kind, f.size = asHex, atoi(typ[len("hex"):])
		return protowire.BytesType
	case "bool":
		f.kind = asBool
	case "double":
		f.kind, f.wire = asDouble, fixed64
		return protowire.Fixed64Type
	case "uint32":
		f.bits = 32
	case "int32":
		f.bits, f.signed = 32, true
	case "int64":
		f.signed = true
	case "sint32":
		f.bits, f.signed, f.wire = 32, true, zigzag
	case "fixed32":
		f.bits, f.wire = 32, fixed32
		return protowire.Fixed32Type
	case "fixed64":
		f.wire = fixed64
		return protowire.Fixed64Type
	case "sfixed64":
		f.signed, f.wire = true, fixed64
		return protowire.Fixed64Type
	case "uint64":
	default:
		f.kind, f.bits, f.signed = asEnum, 32, true
	}
	return protowire.VarintType
}

// camelCase returns the JSON name of a protobuf field, given its name in snake_case.
func camelCase(snake string) string {
	words := strings.Split(snake, "_")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// atoi parses a number in schemaText. It cannot fail, because a test generates schemaText.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
