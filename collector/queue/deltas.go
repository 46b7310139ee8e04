package queue

import "encoding/binary"

// deltas is a compact list of tuples of numbers. Each tuple is stored as its differences from the
// previous tuple, so records of small batches take few bytes. The list is read from the front.
type deltas struct {
	bytes []byte
	last  [6]int64
	n     int
}

// append adds a tuple. All tuples must have the same length.
func (d *deltas) append(tuple ...int64) {
	for i, v := range tuple {
		d.bytes = binary.AppendVarint(d.bytes, v-d.last[i])
		d.last[i] = v
	}
	d.n++
}

// clip frees unused capacity. The caller must append nothing afterwards.
func (d *deltas) clip() { d.bytes = append(make([]byte, 0, len(d.bytes)), d.bytes...) }

// each calls f for each tuple; width is the tuples' length. f must not retain the slice.
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
