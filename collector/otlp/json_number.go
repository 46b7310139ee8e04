package otlp

import (
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// number is a JSON number: mantissa × 10^exponent.
type number struct {
	text     []byte
	mantissa uint64
	exponent int
	negative bool
	whole    bool // without a fraction or exponent
	exact    bool // mantissa and exponent represent the number exactly; otherwise only text does
}

// safeDigits is the maximum number of decimal digits that always fit in 64 bits.
const safeDigits = 19

// number reads a number as defined by RFC 8259.
func (t *transcoder) number() (n number, err error) {
	start := t.pos
	if n.negative = t.in[t.pos] == '-'; n.negative {
		t.pos++
	}
	first := t.pos
	t.digits(&n)
	if digits := t.pos - first; digits == 0 || digits > 1 && t.in[first] == '0' {
		t.pos = start
		return n, t.unexpected("a number")
	}
	count := t.pos - first
	n.whole = true
	if t.pos < len(t.in) && t.in[t.pos] == '.' {
		t.pos++
		point := t.pos
		t.digits(&n)
		if t.pos == point {
			return n, t.unexpected("a digit")
		}
		n.whole, n.exponent = false, point-t.pos
		count += t.pos - point
	}
	n.exact = count <= safeDigits
	if t.pos < len(t.in) && t.in[t.pos]|0x20 == 'e' {
		n.whole = false
		if err := t.exponent(&n); err != nil {
			return n, err
		}
	}
	n.text = t.in[start:t.pos]
	return n, nil
}

func (t *transcoder) digits(n *number) {
	for ; t.pos < len(t.in) && isDigit(t.in[t.pos]); t.pos++ {
		n.mantissa = n.mantissa*10 + uint64(t.in[t.pos]-'0')
	}
}

func (t *transcoder) exponent(n *number) error {
	t.pos++
	sign := 1
	if t.pos < len(t.in) && (t.in[t.pos] == '+' || t.in[t.pos] == '-') {
		if t.in[t.pos] == '-' {
			sign = -1
		}
		t.pos++
	}
	start, exponent := t.pos, 0
	for ; t.pos < len(t.in) && isDigit(t.in[t.pos]); t.pos++ {
		exponent = min(exponent*10+int(t.in[t.pos]-'0'), math.MaxInt16)
	}
	if t.pos == start {
		return t.unexpected("a digit")
	}
	n.exponent += sign * exponent
	return nil
}

// double reads a number, possibly quoted, including NaN and Infinity.
func (t *transcoder) double(f *field) (float64, error) {
	var s []byte
	switch c := t.peek(); {
	case c == '-' || isDigit(c):
		n, err := t.number()
		if err != nil {
			return 0, err
		}
		if v, ok := n.float(); ok {
			return v, nil
		}
		s = n.text
	case c == '"':
		var err error
		if s, err = t.text(); err != nil {
			return 0, err
		}
	default:
		return 0, t.unexpected("a number for " + f.name)
	}
	v, err := strconv.ParseFloat(string(s), 64)
	if err != nil {
		return 0, t.fail("%s: expected a number, got %q", f.name, brief(s, 40))
	}
	return v, nil
}

// exactPowers holds the powers of ten that a float64 represents exactly.
var exactPowers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// float returns the value of n if it can be computed by a single operation on exact float64s, since
// such an operation rounds correctly (Clinger, How to Read Floating Point Numbers Accurately,
// 1990). Otherwise it returns false.
func (n *number) float() (float64, bool) {
	if !n.exact || n.mantissa > 1<<53 || n.exponent < -22 || n.exponent > 22 {
		return 0, false
	}
	v := float64(n.mantissa)
	if n.negative {
		v = -v
	}
	if n.exponent < 0 {
		return v / exactPowers[-n.exponent], true
	}
	return v * exactPowers[n.exponent], true
}

// integer reads and writes an integer, possibly quoted, or the name of an enum value.
func (t *transcoder) integer(f *field) (zero bool, err error) {
	var v uint64
	switch c := t.peek(); {
	case c == '-' || isDigit(c):
		v, err = t.integerNumber(f)
	case c == '"':
		v, err = t.integerString(f)
	default:
		err = t.unexpected("an integer for " + f.name)
	}
	if err != nil {
		return false, err
	}
	switch f.wire {
	case varint:
		t.out = protowire.AppendVarint(t.out, v)
	case zigzag:
		t.out = protowire.AppendVarint(t.out, protowire.EncodeZigZag(int64(v)))
	case fixed32:
		t.out = protowire.AppendFixed32(t.out, uint32(v))
	case fixed64:
		t.out = protowire.AppendFixed64(t.out, v)
	}
	return v == 0, nil
}

func (t *transcoder) integerNumber(f *field) (uint64, error) {
	n, err := t.number()
	if err != nil {
		return 0, err
	}
	if n.whole && n.exact {
		switch limit := f.limit(); {
		case !n.negative && n.mantissa <= limit:
			return n.mantissa, nil
		case n.negative && f.signed && n.mantissa <= limit+1:
			return -n.mantissa, nil
		}
	}
	return t.parseInteger(f, n.text) // the number has 20 digits or is invalid
}

// limit returns the largest integer of f's type.
func (f *field) limit() uint64 {
	limit := uint64(math.MaxUint64) >> (64 - f.bits)
	if f.signed {
		limit >>= 1
	}
	return limit
}

func (t *transcoder) integerString(f *field) (uint64, error) {
	s, err := t.text()
	if err != nil {
		return 0, err
	}
	if f.kind == asEnum {
		v, ok := f.enum[string(s)]
		if !ok {
			return 0, t.fail("%s: unknown name %q", f.name, brief(s, 40))
		}
		return uint64(v), nil
	}
	if v, ok := decimal(s); ok && v <= f.limit() {
		return v, nil
	}
	return t.parseInteger(f, s) // s has a sign, has 20 digits or is invalid
}

// decimal parses at most safeDigits digits.
func decimal(s []byte) (v uint64, ok bool) {
	if len(s) == 0 || len(s) > safeDigits {
		return 0, false
	}
	for _, c := range s {
		if !isDigit(c) {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, true
}

func (t *transcoder) parseInteger(f *field, s []byte) (v uint64, err error) {
	if f.signed {
		var i int64
		i, err = strconv.ParseInt(string(s), 10, f.bits)
		v = uint64(i)
	} else {
		v, err = strconv.ParseUint(string(s), 10, f.bits)
	}
	if err != nil {
		return 0, t.fail("%s: expected a %d-bit integer, got %q", f.name, f.bits, brief(s, 40))
	}
	return v, nil
}
