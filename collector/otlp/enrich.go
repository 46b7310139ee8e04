package otlp

import (
	"fmt"
	"math"
	"math/bits"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/encoding/protowire"
)

// mostAttributes is how many attributes [Attributes] can hold: a bit each.
const mostAttributes = 64

// Attributes are resource attributes to add to the requests of others, ready in wire form. The zero
// value adds none. It is read-only and safe for concurrent use.
type Attributes struct {
	index map[string]int // by key
	wire  [][]byte       // each a whole field of a Resource
	all   uint64         // a bit for each
}

// NewAttributes returns the attributes of set. It returns an error for more than 64, and for a
// value that is neither a scalar nor a list of strings.
func NewAttributes(set attribute.Set) (Attributes, error) {
	if set.Len() > mostAttributes {
		return Attributes{}, fmt.Errorf("resource attributes to add: %d, at most %d", set.Len(), mostAttributes)
	}
	a := Attributes{index: make(map[string]int, set.Len())}
	for _, kv := range set.ToSlice() {
		value, err := appendAnyValue(nil, kv.Value)
		if err != nil {
			return Attributes{}, fmt.Errorf("resource attribute %s: %w", kv.Key, err)
		}
		pair := protowire.AppendTag(nil, keyValueKey, protowire.BytesType)
		pair = protowire.AppendString(pair, string(kv.Key))
		pair = appendMessage(pair, 2, value)
		a.all |= 1 << len(a.wire)
		a.index[string(kv.Key)] = len(a.wire)
		a.wire = append(a.wire, appendMessage(nil, resourceAttrs, pair))
	}
	return a, nil
}

// appendAnyValue appends v as the content of a common.v1.AnyValue.
func appendAnyValue(b []byte, v attribute.Value) ([]byte, error) {
	switch v.Type() {
	case attribute.STRING:
		return protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), v.AsString()), nil
	case attribute.BOOL:
		return protowire.AppendVarint(
			protowire.AppendTag(b, 2, protowire.VarintType),
			protowire.EncodeBool(v.AsBool()),
		), nil
	case attribute.INT64:
		return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(v.AsInt64())), nil
	case attribute.FLOAT64:
		return protowire.AppendFixed64(
			protowire.AppendTag(b, 4, protowire.Fixed64Type),
			math.Float64bits(v.AsFloat64()),
		), nil
	case attribute.STRINGSLICE:
		var list []byte
		for _, s := range v.AsStringSlice() {
			item := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), s)
			list = appendMessage(list, 1, item)
		}
		return appendMessage(b, 5, list), nil
	default:
		return nil, fmt.Errorf("expected a string, bool, number or list of strings, got %v", v.Type())
	}
}

func appendMessage(b []byte, num protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), content)
}

// Enrich returns a copy of a serialized Export…ServiceRequest in which every resource has the
// attributes of add too; a group without a resource gets one. Keys that a resource has keep their
// values, whatever these are. All else stays as it is, byte for byte and in order, unknown fields
// too. The result never shares memory with data; it is the only allocation. Errors wrap
// [ErrMalformed], of which there is none for what [Inspect] accepts, or [ErrTooLarge] if the result
// would have more bytes than most.
func Enrich(data []byte, add Attributes, most int) ([]byte, error) {
	size := 0
	f := fields{rest: data}
	for f.next() {
		if !f.is(requestGroups) {
			size += len(f.whole)
			continue
		}
		p, err := add.plan(f.value)
		if err != nil {
			return nil, err
		}
		size += sizeOfMessage(requestGroups, p.size)
	}
	if f.err != nil {
		return nil, f.err
	}
	if size > most {
		return nil, fmt.Errorf(
			"%w: with the attributes of the pod a request has %d bytes, at most %d",
			ErrTooLarge,
			size,
			most,
		)
	}
	out := make([]byte, 0, size)
	f = fields{rest: data}
	for f.next() {
		if !f.is(requestGroups) {
			out = append(out, f.whole...)
			continue
		}
		p, _ := add.plan(f.value) // as above, which is cheaper than to remember it
		out = add.appendGroup(out, f.value, p)
	}
	return out, nil
}

// plan is how a group changes: from start to end stands the resource that gets the missing
// attributes.
type plan struct {
	start, end int    // both 0 if there is none
	resource   []byte // what it holds
	missing    uint64 // bits of Attributes
	extra      int    // size of the missing attributes
	size       int    // of the new group
}

// plan looks for keys in every resource of the group: there should be one, but a reader would merge
// several.
func (a Attributes) plan(group []byte) (plan, error) {
	p := plan{missing: a.all}
	f := fields{rest: group}
	for f.next() {
		if !f.is(groupResource) {
			continue
		}
		present, err := a.present(f.value)
		if err != nil {
			return plan{}, err
		}
		p.missing &^= present
		p.end = len(group) - len(f.rest)
		p.start, p.resource = p.end-len(f.whole), f.value
	}
	if f.err != nil {
		return plan{}, f.err
	}
	for left := p.missing; left != 0; left &= left - 1 {
		p.extra += len(a.wire[bits.TrailingZeros64(left)])
	}
	p.size = len(group)
	if p.extra > 0 {
		p.size += sizeOfMessage(groupResource, len(p.resource)+p.extra) - (p.end - p.start)
	}
	return p, nil
}

// present returns the bits of the attributes whose keys the resource has.
func (a Attributes) present(resource []byte) (bitsSet uint64, err error) {
	f := fields{rest: resource}
	for f.next() {
		if !f.is(resourceAttrs) {
			continue
		}
		key, err := keyOf(f.value)
		if err != nil {
			return 0, err
		}
		if i, ok := a.index[string(key)]; ok {
			bitsSet |= 1 << i
		}
	}
	return bitsSet, f.err
}

// keyOf returns the key of a KeyValue: the last, should it have several.
func keyOf(kv []byte) (key []byte, err error) {
	f := fields{rest: kv}
	for f.next() {
		if f.is(keyValueKey) {
			key = f.value
		}
	}
	return key, f.err
}

// appendGroup appends the group, changed by p, as a field of a request.
func (a Attributes) appendGroup(out, group []byte, p plan) []byte {
	out = protowire.AppendTag(out, requestGroups, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(p.size))
	if p.extra == 0 {
		return append(out, group...)
	}
	out = append(out, group[:p.start]...)
	out = protowire.AppendTag(out, groupResource, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(len(p.resource)+p.extra))
	out = append(out, p.resource...)
	for left := p.missing; left != 0; left &= left - 1 {
		out = append(out, a.wire[bits.TrailingZeros64(left)]...)
	}
	return append(out, group[p.end:]...)
}
