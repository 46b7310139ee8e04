package queue

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// state is the progress of a batch. It never moves back. Any two values differ in at least four
// bits, so a flipped bit cannot turn one value into another.
type state byte

const (
	queued   state = 0x33
	inFlight state = 0x55
	done     state = 0x0F
)

// Layout of a record, little endian:
//
// 0   sync word      8   sum of the data     16  sequence number   32  time, Unix ns   41  state
// 4   sum of 8..40   12  length of the data  24  points            40  lane            42  data
//
// The sums are CRC-32C checksums. Neither covers the state, which is changed in place.
const (
	stateOffset = 41
	recordSize  = 42 // without the data
)

var (
	syncWord   = []byte{0xF1, 'p', 'g', 0x9E}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// record is the parsed header of a record.
type record struct {
	seq    uint64 // in the order of Put; the same for all copies of a batch
	points int64
	time   int64 // Unix ns
	sum    uint32
	length uint32
	lane   Lane
	state  state
}

func (r record) size() int64 { return recordSize + int64(r.length) }

// appendHeader appends the header of a record to b, with the length and sum of data. It does not
// append data itself.
func appendHeader(b []byte, r record, data []byte) []byte {
	at := len(b)
	b = append(b, syncWord...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(data, castagnoli))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint64(b, r.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.points))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.time))
	b = append(b, byte(r.lane), byte(r.state))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(b[at+8:at+stateOffset], castagnoli))
	return b
}

// readRecord parses the record header at the start of b. It returns false if there is no valid
// header.
func readRecord(b []byte) (r record, ok bool) {
	if len(b) < recordSize || !bytes.Equal(b[:4], syncWord) ||
		binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[8:stateOffset], castagnoli) {
		return record{}, false
	}
	return record{
		sum:    binary.LittleEndian.Uint32(b[8:]),
		length: binary.LittleEndian.Uint32(b[12:]),
		seq:    binary.LittleEndian.Uint64(b[16:]),
		points: int64(binary.LittleEndian.Uint64(b[24:])),
		time:   int64(binary.LittleEndian.Uint64(b[32:])),
		lane:   Lane(b[40]),
		state:  state(b[stateOffset]),
	}, true
}

// dataOf returns the data of r, the record at the start of b. It returns false if the data is
// truncated or corrupt.
func dataOf(b []byte, r record) (data []byte, ok bool) {
	if int64(len(b)) < r.size() {
		return nil, false
	}
	data = b[recordSize:r.size()]
	return data, crc32.Checksum(data, castagnoli) == r.sum
}

// section is a part of a segment. If known is set, it is a record, whose data is corrupt unless
// intact is set. Otherwise it consists of unrecognized bytes.
type section struct {
	record

	offset, length int
	known, intact  bool
}

// scan divides b, the records of a segment, into contiguous sections. After damage it resumes at
// the next valid record.
func scan(b []byte) iter.Seq[section] {
	return func(yield func(section) bool) {
		for at := 0; at < len(b); {
			f := section{offset: at}
			f.record, f.known = readRecord(b[at:])
			if f.known {
				_, f.intact = dataOf(b[at:], f.record)
			}
			if f.intact {
				f.length = int(f.size())
			} else {
				f.length = 1 + nextRecord(b[at+1:])
			}
			if !yield(f) {
				return
			}
			at += f.length
		}
	}
}

// nextRecord returns the offset of the first record in b, or len(b) if there is none.
func nextRecord(b []byte) int {
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], syncWord)
		if i < 0 {
			return len(b)
		}
		at += i
		if _, ok := readRecord(b[at:]); ok {
			return at
		}
	}
}
