package otlp

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
)

// ErrTooLarge is wrapped by errors about a request that is, or would become, larger than it may be.
var ErrTooLarge = errors.New("too large")

// FromJSON returns the serialized Export…ServiceRequest of one in OTLP's JSON. Errors wrap
// [ErrMalformed] and name the byte and the field.
//
// It takes what the Collector's decoder (pdata) takes of RFC 8259's JSON: names in camelCase and
// snake_case; 64-bit integers and doubles as numbers or strings, NaN and Infinity among them; enums
// as names or numbers, known or not; null for an absent string, list or message; keys that are
// there twice, of which the last counts, or all of them for lists. Unknown keys are skipped, and
// what is not Unicode becomes U+FFFD, since protobuf's strings have to be UTF-8. It refuses what
// would lose a value: null for a number, an unknown name of an enum, an integer beyond its type, a
// second kind of data in one metric, anything behind the request.
//
// Body is read once. Memory is that of the result, at most four bytes for each of body (a bucket
// count may be two characters and is eight bytes), and of a buffer of about that size. Nesting is
// limited to 1,000 levels. Equal bodies have equal results.
func FromJSON(signal Signal, body []byte) ([]byte, error) {
	return FromJSONWithin(signal, body, math.MaxInt)
}

// FromJSONWithin is [FromJSON] for results of at most the given number of bytes. It stops reading
// where the result exceeds that by a string or a point, with an error that wraps [ErrTooLarge].
func FromJSONWithin(signal Signal, body []byte, most int) ([]byte, error) {
	root := schema().root(signal)
	if root == nil {
		return nil, fmt.Errorf("%w JSON: no such signal: %d", ErrMalformed, signal)
	}
	t := transcoders.Get().(*transcoder)
	defer t.recycle()
	t.in, t.most = body, most
	if first := min(len(body)/2+64, keptBuffer); cap(t.out) < first {
		t.out = make([]byte, 0, first)
	}
	if err := t.request(root); err != nil {
		return nil, err
	}
	if len(t.out) > keptBuffer && cap(t.out)-len(t.out) <= len(t.out)/8 {
		data := t.out
		t.out = nil
		return data, nil
	}
	return slices.Clone(t.out), nil
}

// transcoder turns one body into wire form. Fields go to out in the order of body, each message
// with its length in front, which is filled in when the message ends.
type transcoder struct {
	in    []byte
	pos   int // of the next byte of in
	out   []byte
	most  int // bytes of out
	depth int
	plain []byte // a string of in that has escapes or is not UTF-8, as it should be
}

var transcoders = sync.Pool{New: func() any { return new(transcoder) }}

// keptBuffer is the largest buffer that is kept for the next request.
const keptBuffer = 64 << 10

func (t *transcoder) recycle() {
	t.in, t.pos, t.depth = nil, 0, 0
	t.out, t.plain = t.out[:0], t.plain[:0]
	if cap(t.out) > keptBuffer {
		t.out = nil
	}
	if cap(t.plain) > keptBuffer {
		t.plain = nil
	}
	transcoders.Put(t)
}

func (t *transcoder) request(root *message) error {
	if !t.null() {
		if err := t.object(root, 0); err != nil {
			return err
		}
	}
	if t.peek(); t.pos < len(t.in) {
		return t.unexpected("the end")
	}
	return t.grow()
}

// grow checks the size of out, and makes room for the rest of it where there is little: what is to
// come will grow as what was read. So out moves once or twice, and not with each doubling.
func (t *transcoder) grow() error {
	const little, much = 256, 1024
	if len(t.out) > t.most {
		return t.tooLarge()
	}
	if cap(t.out)-len(t.out) >= little || t.pos == len(t.in) {
		return nil
	}
	ratio := float64(len(t.out)) / float64(t.pos)
	// a quarter, so that copies stay few
	rest := max(int(ratio*float64(len(t.in)-t.pos)*1.06), len(t.out)/4)
	rest = min(rest, t.most-len(t.out)) + much
	t.out = append(make([]byte, 0, len(t.out)+rest), t.out...)
	return nil
}

func (t *transcoder) tooLarge() error {
	return fmt.Errorf("%w: a request in JSON has more than %d bytes as protobuf", ErrTooLarge, t.most)
}

func (t *transcoder) fail(format string, args ...any) error {
	return fmt.Errorf("%w JSON: byte %d: %s", ErrMalformed, t.pos, fmt.Sprintf(format, args...))
}

// unexpected describes what is at pos, where something else has to be.
func (t *transcoder) unexpected(want string) error {
	if t.pos >= len(t.in) {
		return t.fail("expected %s, got the end", want)
	}
	return t.fail("expected %s, got %q", want, brief(t.in[t.pos:], 20))
}

// brief is the beginning of s, since an error that quotes all of it may take megabytes.
func brief(s []byte, most int) []byte { return s[:min(len(s), most)] }
