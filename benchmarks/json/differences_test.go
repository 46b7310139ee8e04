package main

import (
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// expected is the expected outcome of decoding a body. Its field body is a variant that pdata must
// decode as the decoder decodes the original, so that any remaining difference is an error. The
// decoder differs from pdata as follows:
//
//  1. Input that is not JSON (RFC 8259) is rejected, as is anything after the first value. pdata
//     accepts `{"a":1 {"b":2}` and ignores a second request, so that its points are lost.
//  2. Bytes and surrogates in a string that are not Unicode become U+FFFD. pdata passes the bytes
//     on, and protobuf readers reject the whole request. If two surrogates are not a pair, it also
//     replaces the second, even if that begins a pair.
//  3. Control characters in strings are accepted. pdata accepts them only after an escape.
//  4. Escapes are accepted in IDs and base64 (PHP writes "/" as "\/"), as is base64 in both
//     alphabets, with and without padding, as the JSON mapping of protobuf requires.
//  5. A member with an empty key is skipped. pdata takes it for the end of the object, and loses
//     the members that follow.
//  6. Integers out of the range of their type are rejected. In pdata, some that are not strings
//     wrap around.
//  7. A null for a member of a oneof that is already set is ignored. pdata loses the earlier value,
//     such as the points of a metric if a client writes null for the kinds of data that the metric
//     does not have.
//  8. A second kind of data in one metric is rejected. pdata loses the points of the first.
//  9. More than 1,000 levels of nesting are rejected. pdata recurses until the stack overflows; its
//     protobuf decoder accepts at most 100 nested messages.
//  10. Unknown fields are skipped, whatever numbers they contain. pdata rejects 1e999 in them.
//  11. deprecatedScopeSpans and similar fields are unknown fields. Only pdata knows them.
//  12. SEVERITY_NUMBER_TRACE is an enum name. pdata knows it only with a space at the end.
type expected struct {
	rejected bool // the decoder must reject the body, whatever pdata does (1, 6, 9)
	twoKinds bool // a metric has two kinds of data: the decoder may reject the body (8)
	body     []byte
}

const maxDepth = 1000

func expect(body []byte, d protoreflect.MessageDescriptor) (e expected) {
	n := parse(body)
	if n == nil || n.depth() > maxDepth { // 1, 3, 9
		return expected{rejected: true}
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
			e.twoKinds = e.twoKinds || alone
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
		if n.kind == '0' { // 6: pdata parses strings with strconv, which checks the range
			n.kind = '"'
		}
	}
}

func (e *expected) enum(n *node) {
	switch {
	case n.kind == '0': // 6
		if _, err := strconv.ParseInt(n.text, 10, 32); err != nil {
			e.rejected = true
		}
	case n.kind == '"' && n.text == "SEVERITY_NUMBER_TRACE": // 12
		n.text += " "
	case n.kind == '"' && n.text == "SEVERITY_NUMBER_TRACE ":
		e.rejected = true
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
