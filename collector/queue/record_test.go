package queue

import (
	"bytes"
	"testing"
)

func FuzzSegment(f *testing.F) {
	var records []byte
	for i := range 3 {
		b := batch(i, 20)
		records = appendRecord(
			records,
			record{seq: uint64(i + 1), points: b.Points, time: 5, lane: LaneOf(b.Signal), state: queued},
			b.Data,
		)
	}
	f.Add(records)
	f.Add(records[:len(records)-3])
	f.Add(append([]byte("\xf1pg"), records...))
	f.Add(bytes.Repeat(records[:recordSize], 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := 0
		for found := range scan(b) {
			if found.offset != at || found.length <= 0 {
				t.Fatalf("section of %d bytes at offset %d, want it at %d", found.length, found.offset, at)
			}
			at += found.length
			if found.intact && (!found.known || int(found.record.length)+recordSize != found.length) {
				t.Fatalf("section %+v is intact, but not a complete record", found)
			}
		}
		if at != len(b) {
			t.Fatalf("scan covered %d of %d bytes", at, len(b))
		}
		// A record that follows b is found, unless b ends in a record whose data includes it.
		r := appendRecord(bytes.Clone(b), record{seq: 77, lane: Metrics, state: queued}, []byte("data"))
		var last section
		for last = range scan(r) {
		}
		if last.seq != 77 && (!last.intact || last.offset >= len(b)) {
			t.Fatalf("record after %d bytes not found; the last section is %+v", len(b), last)
		}
	})
}

// Open accepts a directory with a single segment of any content, or refuses it without changing the
// file.
func FuzzOpen(f *testing.F) {
	var records []byte
	for i := range 3 {
		b := batch(i, 20)
		records = appendRecord(
			records,
			record{seq: uint64(i + 1), points: b.Points, time: 5, lane: LaneOf(b.Signal), state: inFlight},
			b.Data,
		)
	}
	f.Add(append(newHeader(version), records...))
	f.Add(append(newHeader(7), records...))
	f.Add([]byte("something else entirely"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := config("fuzzed", 1<<16, noSync)
		kept := &memoryFiles{content: map[string][]byte{segmentName(1): bytes.Clone(b)}}
		c.files = kept
		q, err := Open(c)
		if err != nil {
			if !bytes.Equal(kept.content[segmentName(1)], b) {
				t.Fatalf("Open failed with %v, but changed the file", err)
			}
			return
		}
		defer mustClose(t, q)
		for f := takeNow(t, q, 100); f != nil; f = takeNow(t, q, 100) {
			for i := range batchesOf(f) {
				f.Settle(i)
			}
		}
		if a := q.Account(); total(a).Queued != 0 || a.Usage != 0 || total(a).Recovered < total(a).Resent {
			t.Fatalf("account %+v, want nothing queued, and no more points resent than recovered", a)
		}
	})
}

// appendRecord appends a complete record.
func appendRecord(b []byte, r record, data []byte) []byte {
	return append(appendHeader(b, r, data), data...)
}
