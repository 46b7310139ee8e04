package queue

import (
	"math"
	"slices"
	"testing"
)

func TestDeltasReturnWhatWasAppended(t *testing.T) {
	want := [][]int64{
		{0, 0, 0}, {1, -1, 5}, {math.MaxInt64, math.MinInt64, 0}, {math.MinInt64, math.MaxInt64, 7}, {3, 3, 3},
	}
	var d deltas
	for _, tuple := range want {
		d.append(tuple...)
	}
	d.clip()
	var got [][]int64
	d.each(3, func(tuple []int64) { got = append(got, slices.Clone(tuple)) })
	if !slices.EqualFunc(got, want, slices.Equal) || d.n != len(want) {
		t.Errorf("got %v (%d), want %v", got, d.n, want)
	}
}

// Each small batch uses only a few bytes of memory, both in the queue and during recovery.
func TestSmallBatchesUseFewBytes(t *testing.T) {
	const n, most = maxInBlock, 12
	var parked list
	var recovered stretch
	l := &lane{id: Metrics}
	for i := range int64(n) {
		at := i * (recordSize + 60)
		parked.parkOne(&entry{lane: l, order: i, points: 1, time: i * 100_000, length: 60, offset: at})
		recovered.append(summary{
			seq:    uint64(i),
			time:   1_700_000_000_000_000_000 + i*100_000,
			points: 1,
			offset: uint32(at),
			length: 60,
			lane:   Metrics,
			state:  queued,
			intact: true,
		})
	}
	if b := len(parked.parked[0].records.bytes) / n; len(parked.parked) != 1 || b > most/2 {
		t.Errorf("%d bytes per parked batch in %d blocks, want at most %d in 1", b, len(parked.parked), most/2)
	}
	if b := len(recovered.packed.bytes) / n; b > most {
		t.Errorf("%d bytes per recovered batch, want at most %d", b, most)
	}
}

func TestStretchReturnsWhatWasAppended(t *testing.T) {
	want := []summary{
		{seq: 1, time: 5, points: 7, offset: 16, length: 60, lane: Own, state: queued, intact: true},
		{
			seq:    1 << 40,
			time:   -3,
			points: 1 << 40,
			offset: math.MaxUint32,
			length: math.MaxUint32,
			lane:   Metrics,
			state:  inFlight,
		},
		{seq: 1<<40 + 1, lane: Logs, state: done, intact: true},
	}
	var s stretch
	for _, r := range want {
		s.append(r)
	}
	all := func() (got []summary) {
		s.each(func(r summary) { got = append(got, r) })
		return got
	}
	if got := all(); !slices.Equal(got, want) || s.len() != len(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if s.find(2) != nil {
		t.Error("find(2) returned a record that was not appended")
	}
	want[1].state = done
	s.find(1 << 40).state = done
	if got := all(); !slices.Equal(got, want) || s.len() != len(want) {
		t.Errorf("after a change: got %+v, want %+v", got, want)
	}
}
