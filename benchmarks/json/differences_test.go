package main

import (
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The decoder differs from pdata as follows, each time for a reason. expected turns a body into one
// that pdata reads as the decoder reads the original, so that of the rest nothing may differ.
//
//  1. What is not JSON (RFC 8259) is refused, as is anything behind the first value. pdata takes
//     `{"a":1 {"b":2}` and ignores a second request, so that its points are lost.
//  2. Bytes and surrogates of a string that are not Unicode become U+FFFD. pdata hands the bytes
//     on, and readers of protobuf refuse the whole request; of two surrogates that are no pair it
//     takes the second for wrong too, even where it begins a pair.
//  3. Control characters in strings are taken. pdata takes them behind an escape only.
//  4. Escapes are taken in IDs and base64 (PHP writes "/" as "\/"), and base64 of both alphabets,
//     with and without padding, as protobuf's JSON demands.
//  5. A member whose key is empty is skipped. For pdata it ends the object, and the rest is lost.
//  6. Integers beyond their type are refused. pdata wraps some of those that are not in a string.
//  7. null for a member of a oneof that is set replaces nothing. pdata loses what was there: the
//     points of a metric, where a client writes null for the kinds that it has not.
//  8. A second kind of data in one metric is refused. pdata loses the points of the first.
//  9. More than 1,000 levels are refused. pdata reads on until the stack ends; its decoder of
//     protobuf takes 100 messages in each other.
//  10. Unknown fields are skipped whatever numbers they hold. pdata refuses 1e999 there.
//  11. deprecatedScopeSpans and the like are unknown: only pdata has them.
//  12. SEVERITY_NUMBER_TRACE is a name of an enum. pdata knows it with a blank at its end only.
type expected struct {
	refused bool // by the decoder, whatever pdata says (1, 6, 9)
	twice   bool // it may be refused (8)
	body    []byte
}

const deepest = 1000

func expect(body []byte, d protoreflect.MessageDescriptor) (e expected) {
	n := parse(body)
	if n == nil || n.depth() > deepest { // 1, 3, 9
		return expected{refused: true}
	}
	e.message(n, d)
	e.body = n.append(nil) // 2, 4
	return e
}

func (e *expected) message(n *node, d protoreflect.MessageDescriptor) {
	if n.kind != '{' {
		return
	}
	var known []member
	var chosen, alone bool
	for _, m := range n.members {
		fd := fieldOf(d, m.key)
		if fd == nil { // 5, 10, 11
			continue
		}
		e.field(m.value, fd)
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
			if chosen && m.value.kind == 'n' && nullable(fd) { // 7
				continue
			}
			e.twice = e.twice || alone
			alone, chosen = d.Name() == "Metric", true
		}
		known = append(known, m)
	}
	n.members = known
}

func fieldOf(d protoreflect.MessageDescriptor, key string) protoreflect.FieldDescriptor {
	if fd := d.Fields().ByJSONName(key); fd != nil {
		return fd
	}
	return d.Fields().ByName(protoreflect.Name(key))
}

func nullable(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.MessageKind || fd.Kind() == protoreflect.StringKind
}

func (e *expected) field(n *node, fd protoreflect.FieldDescriptor) {
	if fd.IsList() {
		if n.kind == '[' {
			for _, m := range n.members {
				e.value(m.value, fd)
			}
		}
		return
	}
	e.value(n, fd)
}

func (e *expected) value(n *node, fd protoreflect.FieldDescriptor) {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		e.message(n, fd.Message())
	case protoreflect.EnumKind:
		e.enum(n)
	case protoreflect.BytesKind:
		if n.kind == '"' && !strings.HasSuffix(string(fd.Name()), "_id") { // 4
			n.text = paddedBase64(n.text)
		}
	case protoreflect.DoubleKind, protoreflect.StringKind, protoreflect.BoolKind:
	default:
		if n.kind == '0' { // 6, since pdata has strings checked by strconv
			n.kind = '"'
		}
	}
}

func (e *expected) enum(n *node) {
	switch {
	case n.kind == '0': // 6
		if _, err := strconv.ParseInt(n.text, 10, 32); err != nil {
			e.refused = true
		}
	case n.kind == '"' && n.text == "SEVERITY_NUMBER_TRACE": // 12
		n.text += " "
	case n.kind == '"' && n.text == "SEVERITY_NUMBER_TRACE ":
		e.refused = true
	}
}

func paddedBase64(s string) string {
	bare := strings.TrimRight(s, "=\r\n")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if data, err := encoding.DecodeString(bare); err == nil {
			return base64.StdEncoding.EncodeToString(data)
		}
	}
	return s
}
