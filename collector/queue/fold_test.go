package queue

import (
	"slices"
	"testing"
)

// The first intact copy of a batch counts, in the most advanced state of all copies.
func TestCopiesOfABatchAreMerged(t *testing.T) {
	copyOf := func(s state, intact bool) finding { return finding{record: record{seq: 1, state: s}, intact: intact} }
	for name, c := range map[string]struct {
		copies []finding
		want   []state
	}{
		"the copy is more advanced": {
			[]finding{copyOf(queued, true), copyOf(inFlight, true)},
			[]state{inFlight},
		},
		"the copy is damaged": {
			[]finding{copyOf(queued, true), copyOf(done, false)},
			[]state{done},
		},
		"the first is damaged": {
			[]finding{copyOf(inFlight, false), copyOf(queued, true)},
			[]state{done, inFlight},
		},
		"only the last is intact": {
			[]finding{copyOf(queued, false), copyOf(inFlight, false), copyOf(queued, true)},
			[]state{done, inFlight},
		},
	} {
		all := &found{}
		for i, f := range c.copies {
			all.add(f, &segment{}, i)
		}
		all.fold()
		var got []state
		all.each(func(_ *segment, one trace) { got = append(got, one.state) })
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: states %v, want %v", name, got, c.want)
		}
	}
}
