package otlp

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
)

// ErrTooLarge is wrapped by every error about a request that is, or would become, too large.
var ErrTooLarge = errors.New("too large")

// FromJSON converts body, an OTLP/JSON request, to a serialized Export…ServiceRequest. Errors wrap
// [ErrMalformed] and contain the byte offset and the field.
//
// FromJSON accepts the same RFC 8259 JSON as the Collector's decoder (pdata): names in camelCase or
// snake_case; 64-bit integers and doubles as numbers or strings, including NaN and Infinity; enums
// as names, or as known or unknown numbers; null for an absent string, list or message; and
// duplicate keys, of which the last wins, except that lists are concatenated. FromJSON skips
// unknown keys, and replaces invalid Unicode with U+FFFD, since protobuf strings must be UTF-8. It
// rejects input if a value would be lost: null for a number, an unknown enum name, an integer out
// of range, a second kind of data in one metric, or anything after the request.
//
// FromJSON reads body once. It needs memory for the result, which is at most four times as large as
// body (a bucket count of two characters takes eight bytes), and for a buffer of about the same
// size. Nesting is limited to 1,000 levels. The output is deterministic.
func FromJSON(signal Signal, body []byte) ([]byte, error) {
	return FromJSONWithin(signal, body, math.MaxInt)
}

// FromJSONWithin is like [FromJSON], but limits the result to limit bytes. As soon as a string or
// point makes the result larger than that, it fails with an error that wraps [ErrTooLarge].
func FromJSONWithin(signal Signal, body []byte, limit int) ([]byte, error) {
	root := schema().root(signal)
	if root == nil {
		return nil, fmt.Errorf("%w JSON: unknown signal %d", ErrMalformed, signal)
	}
	t := transcoders.Get().(*transcoder)
	defer t.recycle()
	t.in, t.limit = body, limit
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

// transcoder converts one JSON request to wire format. It writes fields to out in the order in
// which they occur. Each message is preceded by its length, which is filled in at the message's
// end.
type transcoder struct {
	in    []byte
	pos   int // position of the next byte of the input
	out   []byte
	limit int // maximum size of the output in bytes
	depth int
	plain []byte // the current string, if it had to be unescaped or made valid UTF-8
}

var transcoders = sync.Pool{New: func() any { return new(transcoder) }}

// keptBuffer is the maximum size of a buffer that is kept for the next request.
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
		return t.unexpected("end of input")
	}
	return t.grow()
}

// grow fails if out is larger than the limit. If out has little spare capacity, grow reserves
// memory for the remaining output, assuming the same ratio of output to input as so far. This way,
// out is copied once or twice rather than at each doubling.
func (t *transcoder) grow() error {
	const minSpare, headroom = 256, 1024
	if len(t.out) > t.limit {
		return t.tooLarge()
	}
	if cap(t.out)-len(t.out) >= minSpare || t.pos == len(t.in) {
		return nil
	}
	ratio := float64(len(t.out)) / float64(t.pos)
	// Grow by at least a quarter of the current size, so that there are few copies.
	rest := max(int(ratio*float64(len(t.in)-t.pos)*1.06), len(t.out)/4)
	rest = min(rest, t.limit-len(t.out)) + headroom
	t.out = append(make([]byte, 0, len(t.out)+rest), t.out...)
	return nil
}

func (t *transcoder) tooLarge() error {
	return fmt.Errorf("%w: a JSON request has more than %d bytes as protobuf", ErrTooLarge, t.limit)
}

func (t *transcoder) fail(format string, args ...any) error {
	return fmt.Errorf("%w JSON: byte %d: %s", ErrMalformed, t.pos, fmt.Sprintf(format, args...))
}

// unexpected returns an error that says that want was expected at pos, and what is there instead.
func (t *transcoder) unexpected(want string) error {
	if t.pos >= len(t.in) {
		return t.fail("expected %s, got end of input", want)
	}
	return t.fail("expected %s, got %q", want, brief(t.in[t.pos:], 20))
}

// brief shortens s for use in an error, which could otherwise contain megabytes.
func brief(s []byte, limit int) []byte { return s[:min(len(s), limit)] }
