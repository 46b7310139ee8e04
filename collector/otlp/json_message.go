package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxDepth is the maximum number of levels of nested objects and lists. It allows about 240 nested
// lists of key-value pairs. Most upstreams accept only 100 nested messages, which is 33 such lists.
const maxDepth = 1000

// At depth deepLevel and deeper, each length is encoded in deepLength bytes. At smaller depths, a
// length has its minimal size, and inserting a length of several bytes moves the content of the
// message. That is cheap for real requests, but would take quadratic time for a body that consists
// only of brackets.
const (
	deepLevel  = 50
	deepLength = 5
)

// frame is the state of a message that is being read.
type frame struct {
	seen   uint64 // bits of the fields read so far
	chosen *field // the member of the message's oneof that is in out; nil if there is none
	start  int    // position of chosen in out
	end    int
}

// object reads an object as the message m. If the key of the object is a duplicate, some of the
// message's fields may already have been written. seen has the bits of such fields, whose zero
// values must then be written explicitly.
func (t *transcoder) object(m *message, seen uint64) error {
	if !t.consume('{') {
		return t.unexpected("an object")
	}
	if err := t.enter(); err != nil {
		return err
	}
	fr := frame{seen: seen}
	for more := !t.consume('}'); more; {
		key, err := t.key()
		if err != nil {
			return err
		}
		if f := m.field(key); f != nil {
			err = t.field(f, &fr)
		} else {
			err = t.skip()
		}
		if err != nil {
			return err
		}
		if more, err = t.another('}'); err != nil {
			return err
		}
	}
	t.depth--
	return nil
}

// enter increases the depth. It fails if the depth exceeds maxDepth or the output its limit.
func (t *transcoder) enter() error {
	if t.depth++; t.depth > maxDepth {
		return t.fail("nested deeper than %d levels", maxDepth)
	}
	return t.grow()
}

func (t *transcoder) field(f *field, fr *frame) error {
	again := fr.seen&f.bit != 0
	fr.seen |= f.bit
	switch {
	case f.list:
		return t.list(f, again)
	case f.oneof:
		return t.choice(f, fr)
	case f.kind == asObject:
		if t.null() {
			return nil
		}
		return t.nested(f, again)
	}
	return t.single(f, again || f.present)
}

// single writes one value. A zero value is omitted unless always is set.
func (t *transcoder) single(f *field, always bool) error {
	start := len(t.out)
	t.out = protowire.AppendVarint(t.out, f.tag)
	zero, err := t.value(f)
	if zero && !always {
		t.out = t.out[:start]
	}
	return err
}

// choice writes a member of a oneof. If there are several members, the last one wins, as in any
// protobuf decoder, but null does not replace an earlier member.
func (t *transcoder) choice(f *field, fr *frame) error {
	nullable := f.kind == asObject || f.kind == asString
	null := nullable && t.null()
	if fr.chosen != nil {
		if null {
			return nil
		}
		if f.exclusive && fr.end-fr.start > protowire.SizeVarint(fr.chosen.tag)+1 {
			return t.fail("%s: a metric can have only one kind of data, and already has %s", f.name, fr.chosen.name)
		}
		t.out = slices.Delete(t.out, fr.start, fr.end)
	}
	fr.chosen, fr.start = f, len(t.out)
	var err error
	switch {
	case null:
		t.out = append(protowire.AppendVarint(t.out, f.tag), 0)
	case f.kind == asObject:
		err = t.nested(f, false)
	default:
		err = t.single(f, true)
	}
	fr.end = len(t.out)
	return err
}

// nested writes a message with its tag and length. again is set if the message's key is a
// duplicate.
func (t *transcoder) nested(f *field, again bool) error {
	var seen uint64
	if again {
		seen = math.MaxUint64
	}
	start := t.open(f.tag)
	if err := t.object(f.message, seen); err != nil {
		return err
	}
	t.close(start)
	return nil
}

// list writes an array. Numbers are packed unless the array's key is a duplicate (again), because
// some decoders treat the last of several packed fields as the entire list.
func (t *transcoder) list(f *field, again bool) error {
	if t.null() {
		return nil
	}
	if !t.consume('[') {
		return t.unexpected("an array for " + f.name)
	}
	if err := t.enter(); err != nil {
		return err
	}
	packed := f.packedTag != 0 && !again
	begin := len(t.out)
	var start int
	if packed {
		start = t.open(f.packedTag)
	}
	for more := !t.consume(']'); more; {
		err := t.element(f, packed)
		if err != nil {
			return err
		}
		if more, err = t.another(']'); err != nil {
			return err
		}
	}
	switch {
	case packed && len(t.out) == start:
		t.out = t.out[:begin]
	case packed:
		t.close(start)
	}
	t.depth--
	return nil
}

func (t *transcoder) element(f *field, packed bool) (err error) {
	switch {
	case packed:
		if _, err = t.value(f); err == nil {
			err = t.grow()
		}
	case f.kind != asObject:
		if err = t.single(f, true); err == nil {
			err = t.grow()
		}
	case t.null(): // an empty message, because positions in the list may be significant
		t.out = append(protowire.AppendVarint(t.out, f.tag), 0)
	default:
		err = t.nested(f, false)
	}
	return err
}

// open starts a field of unknown length and returns the position of the field's content.
func (t *transcoder) open(tag uint64) int {
	t.out = protowire.AppendVarint(t.out, tag)
	width := 1
	if t.depth >= deepLevel {
		width = deepLength
	}
	for range width {
		t.out = append(t.out, 0)
	}
	return len(t.out)
}

// close fills in the length of the content that starts at start.
func (t *transcoder) close(start int) {
	n := len(t.out) - start
	switch {
	case t.depth >= deepLevel: // a varint padded to deepLength bytes
		for i := range deepLength - 1 {
			t.out[start-deepLength+i] = byte(n>>(7*i)) | 0x80
		}
		t.out[start-1] = byte(n >> (7 * (deepLength - 1)))
	case n < 0x80:
		t.out[start-1] = byte(n)
	default:
		more := protowire.SizeVarint(uint64(n)) - 1
		t.out = append(t.out, make([]byte, more)...)
		copy(t.out[start+more:], t.out[start:start+n])
		protowire.AppendVarint(t.out[:start-1], uint64(n))
	}
}

// value writes a value that is not a message, without its tag, and reports whether it is the zero
// value of its type.
func (t *transcoder) value(f *field) (zero bool, err error) {
	switch f.kind {
	case asString:
		return t.string()
	case asBase64, asHex:
		return t.bytes(f)
	case asBool:
		return t.bool(f)
	case asDouble:
		v, err := t.double(f)
		bits := math.Float64bits(v)
		t.out = protowire.AppendFixed64(t.out, bits)
		return bits == 0, err
	default:
		return t.integer(f)
	}
}

func (t *transcoder) string() (zero bool, err error) {
	var s []byte
	if !t.null() {
		if s, err = t.text(); err != nil {
			return false, err
		}
	}
	t.out = protowire.AppendBytes(t.out, s)
	return len(s) == 0, nil
}

// bytes converts an ID in hexadecimal, or bytes in any variant of base64.
func (t *transcoder) bytes(f *field) (zero bool, err error) {
	s, err := t.text()
	if err != nil {
		return false, err
	}
	if f.kind == asBase64 {
		return len(s) == 0, t.base64(f, s)
	}
	var id [16]byte
	if len(s) > 0 {
		if n, err := hex.Decode(id[:], s[:min(len(s), 2*len(id))]); err != nil || 2*n != len(s) || n != f.size {
			return false, t.fail("%s: expected %d hex digits, got %q", f.name, 2*f.size, brief(s, 40))
		}
	}
	if id == [16]byte{} { // how OTLP encodes an absent ID
		t.out = append(t.out, 0)
		return true, nil
	}
	t.out = protowire.AppendBytes(t.out, id[:f.size])
	return false, nil
}

func (t *transcoder) base64(f *field, s []byte) error {
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	data, err := encoding.AppendDecode(nil, bytes.TrimRight(s, "=\r\n"))
	if err != nil {
		return t.fail("%s: expected base64, got %q", f.name, brief(s, 40))
	}
	t.out = protowire.AppendBytes(t.out, data)
	return nil
}

func (t *transcoder) bool(f *field) (zero bool, err error) {
	switch {
	case t.literal("true"):
		t.out = append(t.out, 1)
		return false, nil
	case t.literal("false"):
		t.out = append(t.out, 0)
		return true, nil
	}
	return false, t.unexpected("true or false for " + f.name)
}
