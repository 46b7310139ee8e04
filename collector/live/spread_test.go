package live

import (
	"testing"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// An exponential histogram widens its buckets when its values no longer fit. Its earlier values are
// then in the wider buckets, and do not count as gained.
func TestValuesGainedWhileBucketsBecomeWider(t *testing.T) {
	before := otlp.Buckets{Scale: 2, Counts: []uint64{1, 1, 1, 1}} // half as wide as those of scale 1
	var gained spread
	gained.add(&otlp.Buckets{Scale: 1, Counts: []uint64{3, 2}}, &before)
	if len(gained.cells) != 1 || gained.cells[0].n != 1 || gained.cells[0].lower != 1 {
		t.Errorf("gained %+v, want one value in the first bucket", gained.cells)
	}
}

func TestValuesGainedInTheSameBuckets(t *testing.T) {
	before := otlp.Buckets{Scale: 1, Counts: []uint64{3, 2}}
	var gained spread
	gained.add(&otlp.Buckets{Scale: 1, Counts: []uint64{3, 4}}, &before)
	if len(gained.cells) != 1 || gained.cells[0].n != 2 || gained.cells[0].upper != 2 {
		t.Errorf("gained %+v, want two values in the second bucket", gained.cells)
	}
}

func TestQuantileOfACellThatBeginsAtZero(t *testing.T) {
	s := spread{cells: []cell{{lower: 0, upper: 4, n: 2}}}
	if q := s.quantile(1); q != 2 {
		t.Errorf("got %v, want 2", q)
	}
}

// Buckets that were read for another series do not count as earlier values of a new one.
func TestNewSeriesHasNoEarlierValues(t *testing.T) {
	w := workspace{before: otlp.Buckets{Scale: 1, Counts: []uint64{5}}}
	if !w.readBefore(nil, 0) || len(w.before.Counts) != 0 {
		t.Errorf("got the earlier values %+v, want none", w.before)
	}
}
