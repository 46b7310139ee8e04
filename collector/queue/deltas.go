package queue

import "encoding/binary"

// deltas is a row of tuples of numbers, each stored as its differences from the tuple before: what
// is known of a small batch takes few bytes. It is read from the front.
type deltas struct {
	bytes []byte
	last  [6]int64
	n     int
}

// append adds a tuple, of as many numbers as the others.
func (d *deltas) append(tuple ...int64) {
	for i, v := range tuple {
		d.bytes = binary.AppendVarint(d.bytes, v-d.last[i])
		d.last[i] = v
	}
	d.n++
}

// clip frees the memory beyond the row, to which nothing is added any more.
func (d *deltas) clip() { d.bytes = append(make([]byte, 0, len(d.bytes)), d.bytes...) }

// each calls f for each tuple of so many numbers, which f must not keep.
func (d *deltas) each(width int, f func(tuple []int64)) {
	var tuple [len(d.last)]int64
	for at := 0; at < len(d.bytes); f(tuple[:width]) {
		for i := range width {
			v, n := binary.Varint(d.bytes[at:])
			tuple[i] += v
			at += n
		}
	}
}
