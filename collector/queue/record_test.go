package queue

import (
	"bytes"
	"testing"
)

func FuzzSegment(f *testing.F) {
	var whole []byte
	for i := range 3 {
		b := batch(i, 20)
		whole = appendRecord(
			whole,
			record{seq: uint64(i + 1), points: b.Points, time: 5, lane: LaneOf(b.Signal), state: queued},
			b.Data,
		)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(append([]byte("\xf1pg"), whole...))
	f.Add(bytes.Repeat(whole[:recordSize], 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := 0
		for found := range scan(b) {
			if found.offset != at || found.length <= 0 {
				t.Fatalf("a stretch of %d at %d, after %d", found.length, found.offset, at)
			}
			at += found.length
			if found.intact && (!found.known || int(found.record.length)+recordSize != found.length) {
				t.Fatalf("intact, but %+v", found)
			}
		}
		if at != len(b) {
			t.Fatalf("%d of %d bytes were looked at", at, len(b))
		}
		// Whatever b is, a record after it is found, unless b ends in a record that claims its
		// bytes.
		r := appendRecord(bytes.Clone(b), record{seq: 77, lane: Metrics, state: queued}, []byte("data"))
		var last finding
		for last = range scan(r) {
		}
		if last.seq != 77 && (!last.intact || last.offset >= len(b)) {
			t.Fatalf("not found after %d bytes: %+v", len(b), last)
		}
	})
}

// A directory with one file of that content is opened, or refused without changing the file.
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
	f.Add([]byte("something else altogether"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := config("fuzzed", 1<<16, noSync)
		kept := &memoryFiles{content: map[string][]byte{segmentName(1): bytes.Clone(b)}}
		c.files = kept
		q, err := Open(c)
		if err != nil {
			if !bytes.Equal(kept.content[segmentName(1)], b) {
				t.Fatal("refused, and changed")
			}
			return
		}
		defer closed(t, q)
		for f := takeNow(t, q, 100); f != nil; f = takeNow(t, q, 100) {
			for i := range batchesOf(f) {
				f.Settle(i)
			}
		}
		if a := q.Account(); total(a).Queued != 0 || a.Usage != 0 || total(a).Recovered < total(a).Resent {
			t.Fatalf("%+v", a)
		}
	})
}

// appendRecord appends a complete record.
func appendRecord(b []byte, r record, data []byte) []byte {
	return append(appendHeader(b, r, data), data...)
}
