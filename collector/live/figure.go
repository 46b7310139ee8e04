package live

import (
	"fmt"
	"math"
	"strconv"
)

// Figure is a number that may be absent. An absent Figure is distinct from 0. The zero Figure is
// absent. In JSON, a Figure is a number with seven significant digits, or omitted if absent.
type Figure struct {
	value float64
	known bool
}

// Known returns a Figure with value v, or an absent Figure if v is NaN or infinite.
func Known(v float64) Figure {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Figure{}
	}
	return Figure{value: v, known: true}
}

// known returns Known(v) if ok is true, and an absent Figure otherwise.
func known(v float64, ok bool) Figure {
	if !ok {
		return Figure{}
	}
	return Known(v)
}

// Get returns the number. ok is false if f is absent.
func (f Figure) Get() (v float64, ok bool) { return f.value, f.known }

// Text returns the number as formatted by format, such as [Whole] or [Number]. It returns a dash if
// f is absent.
func (f Figure) Text(format func(float64) string) string {
	if !f.known {
		return "–"
	}
	return format(f.value)
}

// Whole formats a number without a fraction.
func Whole(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

// Number formats a rate for display: with two significant digits below 10, as a whole number below
// 100,000, and in millions above that.
func Number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.2g", v)
	case v < 99999.5:
		return Whole(v)
	}
	return fmt.Sprintf("%.3gM", v/1e6)
}

// Or returns the number, or v if f is absent.
func (f Figure) Or(v float64) float64 {
	if f.known {
		return f.value
	}
	return v
}

// Over returns f ÷ divisor. The result is absent if either number is absent, or if the divisor is
// not positive.
func (f Figure) Over(divisor Figure) Figure {
	if !f.known || !divisor.known || divisor.value <= 0 {
		return Figure{}
	}
	return Known(f.value / divisor.value)
}

// IsZero reports whether f is absent. encoding/json calls it for fields with the option omitzero.
func (f Figure) IsZero() bool { return !f.known }

// MarshalJSON implements json.Marshaler.
func (f Figure) MarshalJSON() ([]byte, error) {
	if !f.known {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, f.value, 'g', 7, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Figure) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*f = Figure{}
		return nil
	}
	v, err := strconv.ParseFloat(string(data), 64)
	*f = Known(v)
	return err
}

// Column is a sequence of Figures over time. In JSON, it is an array of numbers with three
// significant digits. Absent Figures are null.
type Column []Figure

// MarshalJSON implements json.Marshaler. Encoding a column in one call is faster than one call to
// MarshalJSON per Figure.
func (c Column) MarshalJSON() ([]byte, error) {
	return c.append(make([]byte, 0, 8*len(c)+2)), nil
}

func (c Column) append(text []byte) []byte {
	text = append(text, '[')
	for i, f := range c {
		if i > 0 {
			text = append(text, ',')
		}
		if f.known {
			text = strconv.AppendFloat(text, f.value, 'g', 3, 64)
		} else {
			text = append(text, "null"...)
		}
	}
	return append(text, ']')
}
