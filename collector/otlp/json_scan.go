package otlp

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// peek returns the next byte after white space without consuming it, or 0 at the end.
func (t *transcoder) peek() byte {
	for ; t.pos < len(t.in); t.pos++ {
		switch c := t.in[t.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// consume skips white space, and consumes c if it is next. It reports whether it did.
func (t *transcoder) consume(c byte) bool {
	if t.peek() != c || t.pos == len(t.in) {
		return false
	}
	t.pos++
	return true
}

// literal is like consume, for a word.
func (t *transcoder) literal(word string) bool {
	if t.peek() != word[0] || len(t.in)-t.pos < len(word) || string(t.in[t.pos:t.pos+len(word)]) != word {
		return false
	}
	t.pos += len(word)
	return true
}

func (t *transcoder) null() bool { return t.literal("null") }

// another consumes the separator between two elements, or the end of the list or object. It reports
// whether another element follows.
func (t *transcoder) another(end byte) (bool, error) {
	switch t.peek() {
	case ',':
		t.pos++
		return true, nil
	case end:
		t.pos++
		return false, nil
	}
	return false, t.unexpected("a comma or " + string(end))
}

// key reads an object member's key and the colon. The result is valid until the next string is
// read.
func (t *transcoder) key() ([]byte, error) {
	s, err := t.text()
	if err != nil {
		return nil, err
	}
	if !t.consume(':') {
		return nil, t.unexpected("a colon")
	}
	return s, nil
}

// skip reads and discards a value.
func (t *transcoder) skip() error {
	switch c := t.peek(); {
	case c == '"':
		_, err := t.text()
		return err
	case c == '{', c == '[':
		return t.skipNested(c == '{')
	case c == '-' || isDigit(c):
		_, err := t.number()
		return err
	case t.literal("null"), t.literal("true"), t.literal("false"):
		return nil
	}
	return t.unexpected("a value")
}

func (t *transcoder) skipNested(isObject bool) error {
	t.pos++
	if err := t.enter(); err != nil {
		return err
	}
	end := byte(']')
	if isObject {
		end = '}'
	}
	for more := !t.consume(end); more; {
		if isObject {
			if _, err := t.key(); err != nil {
				return err
			}
		}
		err := t.skip()
		if err != nil {
			return err
		}
		if more, err = t.another(end); err != nil {
			return err
		}
	}
	t.depth--
	return nil
}

// text reads a string as valid UTF-8. The result is part of t.in or of t.plain, and valid until the
// next string is read.
func (t *transcoder) text() ([]byte, error) {
	if !t.consume('"') {
		return nil, t.unexpected("a string")
	}
	start := t.pos
	ascii := t.toQuote()
	s := t.in[start:t.pos]
	if t.pos < len(t.in) && t.in[t.pos] == '"' && (ascii || utf8.Valid(s)) {
		t.pos++
		return s, nil
	}
	return t.textSlow(start)
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// toQuote advances to the next quote or backslash, or to the end of the input. If it returns true,
// it passed only ASCII; a false result may be wrong.
func (t *transcoder) toQuote() (ascii bool) {
	var seen uint64
	for ; t.pos+8 <= len(t.in); t.pos += 8 {
		w := binary.LittleEndian.Uint64(t.in[t.pos:])
		seen |= w
		quote, slash := w^('"'*everyByte), w^('\\'*everyByte)
		// The lowest bit that is set is in the first byte of quote or slash that is 0.
		found := ((quote-everyByte)&^quote | (slash-everyByte)&^slash) & highBits
		if found != 0 {
			t.pos += bits.TrailingZeros64(found) / 8
			return seen&highBits == 0
		}
	}
	for ; t.pos < len(t.in) && t.in[t.pos] != '"' && t.in[t.pos] != '\\'; t.pos++ {
		seen |= uint64(t.in[t.pos])
	}
	return seen&highBits == 0
}

// textSlow decodes the string starting at start into t.plain. It is the slow path of text.
func (t *transcoder) textSlow(start int) ([]byte, error) {
	t.pos, t.plain = start, t.plain[:0]
	for t.pos < len(t.in) {
		switch c := t.in[t.pos]; {
		case c == '"':
			t.pos++
			return t.plain, nil
		case c == '\\':
			if err := t.escape(); err != nil {
				return nil, err
			}
		case c < utf8.RuneSelf:
			t.plain = append(t.plain, c)
			t.pos++
		default: // an invalid byte becomes U+FFFD
			r, size := utf8.DecodeRune(t.in[t.pos:])
			t.plain = utf8.AppendRune(t.plain, r)
			t.pos += size
			if len(t.plain) > t.limit {
				return nil, t.tooLarge()
			}
		}
	}
	return nil, t.unexpected("a quote")
}

// escaped holds pairs of bytes: the character after a backslash, and the character that the escape
// represents.
const escaped = `""\\//` + "b\bf\fn\nr\rt\t"

func (t *transcoder) escape() error {
	if t.pos+1 == len(t.in) {
		return t.unexpected("an escape")
	}
	c := t.in[t.pos+1]
	for i := 0; i < len(escaped); i += 2 {
		if escaped[i] == c {
			t.plain = append(t.plain, escaped[i+1])
			t.pos += 2
			return nil
		}
	}
	r, ok := t.escapedUnit(t.pos)
	if !ok {
		return t.unexpected("an escape")
	}
	t.pos += 6
	if low, ok := t.escapedUnit(t.pos); ok && 0xd800 <= r && r < 0xdc00 && 0xdc00 <= low && low < 0xe000 {
		r = 0x10000 + (r-0xd800)<<10 + low - 0xdc00
		t.pos += 6
	}
	t.plain = utf8.AppendRune(t.plain, r) // an unpaired surrogate becomes U+FFFD
	return nil
}

// escapedUnit returns the UTF-16 code unit that is written at pos as \uXXXX.
func (t *transcoder) escapedUnit(pos int) (unit rune, ok bool) {
	if len(t.in)-pos < 6 || t.in[pos] != '\\' || t.in[pos+1] != 'u' {
		return 0, false
	}
	for _, c := range t.in[pos+2 : pos+6] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
