package queue

import (
	"slices"
	"testing"
)

// Of several copies of a batch, the first intact one is kept, with the most advanced state of all
// copies.
func TestCopiesOfABatchAreMerged(t *testing.T) {
	copyOf := func(s state, intact bool) section { return section{record: record{seq: 1, state: s}, intact: intact} }
	for name, c := range map[string]struct {
		copies []section
		want   []state
	}{
		"the copy is more advanced": {
			[]section{copyOf(queued, true), copyOf(inFlight, true)},
			[]state{inFlight},
		},
		"the copy is damaged": {
			[]section{copyOf(queued, true), copyOf(done, false)},
			[]state{done},
		},
		"the first is damaged": {
			[]section{copyOf(inFlight, false), copyOf(queued, true)},
			[]state{done, inFlight},
		},
		"only the last is intact": {
			[]section{copyOf(queued, false), copyOf(inFlight, false), copyOf(queued, true)},
			[]state{done, inFlight},
		},
	} {
		all := &contents{}
		for i, f := range c.copies {
			all.add(f, &segment{}, i)
		}
		all.fold()
		var got []state
		all.each(func(_ *segment, one summary) { got = append(got, one.state) })
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: states %v, want %v", name, got, c.want)
		}
	}
}
