package live

import (
	"fmt"
	"math"
	"strconv"
)

// Figure is a number that may be absent, which is different from 0. The zero Figure is absent. In
// JSON, a Figure is a number with seven digits, or omitted if absent.
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

// Text formats f with write, which may be [Whole], for example. It returns a dash if f is absent.
func (f Figure) Text(write func(float64) string) string {
	if !f.known {
		return "–"
	}
	return write(f.value)
}

// Whole formats a number without a fraction.
func Whole(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

// Number formats a rate in at most six characters.
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

// Over returns the quotient f ÷ by. It is absent if either number is absent, or if the divisor is
// not positive.
func (f Figure) Over(by Figure) Figure {
	if !f.known || !by.known || by.value <= 0 {
		return Figure{}
	}
	return Known(f.value / by.value)
}

// IsZero reports whether f is absent. encoding/json calls it for fields with the option omitzero.
func (f Figure) IsZero() bool { return !f.known }

// MarshalJSON implements json.Marshaler.
func (f Figure) MarshalJSON() ([]byte, error) {
	if !f.known {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, f.value, 'g', -1, 32), nil
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

// Column is a sequence of Figures over time. In JSON, Figures have three significant digits, and
// absent ones are null.
type Column []Figure

// MarshalJSON implements json.Marshaler. It encodes the whole column at once, which is faster than
// calling MarshalJSON for each Figure.
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
