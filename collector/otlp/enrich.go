package otlp

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxAttributes is the maximum number of attributes in [Attributes]: one per bit of a uint64.
const maxAttributes = 64

// Attributes holds resource attributes to add to export requests, already in wire format. The zero
// value adds none. Attributes is read-only and safe for concurrent use.
type Attributes struct {
	index map[string]int // by key
	wire  [][]byte       // each a complete field of a Resource
	all   uint64         // one bit per attribute
}

// NewAttributes returns the attributes in the given set. It returns an error if the set has more
// than 64 attributes, or if a value is neither a scalar nor a list of strings.
func NewAttributes(set attribute.Set) (Attributes, error) {
	if set.Len() > maxAttributes {
		return Attributes{}, fmt.Errorf("attributes to add: expected at most %d, got %d", maxAttributes, set.Len())
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

// appendAnyValue appends the fields of v as a common.v1.AnyValue.
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

// Enrich returns a copy of data, a serialized Export…ServiceRequest, with the attributes in add
// added to every resource. It adds a resource to a group that has none. If a resource already has a
// key, it keeps its value. Everything else is preserved byte for byte and in order, including
// unknown fields. Enrich allocates nothing but the result, which never shares memory with data.
//
// Errors wrap [ErrMalformed], which cannot happen if [Inspect] accepted data, or [ErrTooLarge] if
// the result would exceed limit bytes.
func Enrich(data []byte, add Attributes, limit int) ([]byte, error) {
	size, _, err := add.measure(data, limit)
	if err != nil {
		return nil, err
	}
	return add.appendRequest(make([]byte, 0, size), data), nil
}

// EnrichInPlace is like [Enrich], but overwrites data with the result if data has enough spare
// capacity for the attributes. The caller must not use data afterward.
func EnrichInPlace(data []byte, add Attributes, limit int) ([]byte, error) {
	size, ahead, err := add.measure(data, limit)
	if err != nil {
		return nil, err
	}
	if cap(data)-len(data) < ahead {
		return add.appendRequest(make([]byte, 0, size), data), nil
	}
	moved := data[:ahead+len(data)]
	copy(moved[ahead:], data)
	return add.appendRequest(data[:0], moved[ahead:]), nil
}

// maxHeader is the maximum encoded size, in bytes, of an embedded message's tag and length.
const maxHeader = 1 + binary.MaxVarintLen64

// measure returns the size of the enriched request. It also returns ahead, an upper bound on the
// number of bytes by which the output of [Attributes.appendRequest] exceeds the input that it has
// read so far.
func (a Attributes) measure(data []byte, limit int) (size, ahead int, err error) {
	f := fields{rest: data}
	for f.next() {
		if !f.is(requestGroups) {
			size += len(f.whole)
			continue
		}
		p, err := a.plan(f.value)
		if err != nil {
			return 0, 0, err
		}
		before := len(data) - len(f.rest) - len(f.whole)
		ahead = max(ahead, size-before+p.extra+2*maxHeader)
		size += sizeOfMessage(requestGroups, p.size)
	}
	if f.err != nil {
		return 0, 0, f.err
	}
	if size > limit {
		return 0, 0, fmt.Errorf(
			"%w: with the pod's attributes the request has %d bytes; the limit is %d",
			ErrTooLarge,
			size,
			limit,
		)
	}
	return size, ahead, nil
}

// appendRequest appends the enriched request to out. It reads data from front to back.
func (a Attributes) appendRequest(out, data []byte) []byte {
	f := fields{rest: data}
	for f.next() {
		if !f.is(requestGroups) {
			out = append(out, f.whole...)
			continue
		}
		p, _ := a.plan(f.value) // same as in measure; computing the plan twice is cheaper than keeping it
		out = a.appendGroup(out, f.value, p)
	}
	return out
}

// plan describes how to change a group: the resource between start and end is rewritten with the
// missing attributes.
type plan struct {
	start, end int    // both 0 if the group has no resource
	resource   []byte // the resource's content
	missing    uint64 // one bit per attribute, as in Attributes
	extra      int    // size of the missing attributes in bytes
	size       int    // size of the new group in bytes
}

// plan returns how to change group. It considers the keys of every resource in the group: there
// should be only one, but a protobuf decoder would merge several.
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

// present returns the bits of the attributes whose keys resource already has.
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

// keyOf returns the key in kv, a serialized KeyValue; if there are several keys, the last one.
func keyOf(kv []byte) (key []byte, err error) {
	f := fields{rest: kv}
	for f.next() {
		if f.is(keyValueKey) {
			key = f.value
		}
	}
	return key, f.err
}

// appendGroup appends group, changed according to p, as a field of a request.
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
