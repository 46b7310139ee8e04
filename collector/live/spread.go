package live

import (
	"cmp"
	"math"
	"slices"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// cell is a part of a distribution: n values that are greater than lower and at most upper.
type cell struct{ lower, upper, n float64 }

// spread is the distribution of the values of one or more series.
type spread struct{ cells []cell }

// add adds the values that are in b but not in before, an earlier state of the same series. before
// may be empty.
func (s *spread) add(b, before *otlp.Buckets) {
	if b.Bounds != nil {
		s.addExplicit(b, before)
		return
	}
	if n := float64(b.Zero) - float64(before.Zero); n > 0 {
		s.cells = append(s.cells, cell{n: n})
	}
	shift := min(40, max(0, before.Scale-b.Scale)) // a series' buckets only ever get wider
	bound := func(index int64) float64 {
		return min(math.MaxFloat64, math.Exp2(float64(index)*math.Exp2(-float64(b.Scale))))
	}
	old := 0 // index in before.Counts; both are in ascending order
	for i, n := range b.Counts {
		index := int64(b.Offset) + int64(i)
		gained := float64(n)
		for ; old < len(before.Counts); old++ {
			at := (int64(before.Offset) + int64(old)) >> shift
			if at > index {
				break
			}
			if at == index {
				gained -= float64(before.Counts[old])
			}
		}
		if gained > 0 {
			s.cells = append(s.cells, cell{bound(index), bound(index + 1), gained})
		}
	}
}

func (s *spread) addExplicit(b, before *otlp.Buckets) {
	same := slices.Equal(b.Bounds, before.Bounds) && len(before.Counts) == len(b.Counts)
	for i, n := range b.Counts {
		c := cell{n: float64(n)}
		if same {
			c.n -= float64(before.Counts[i])
		}
		if i > 0 {
			c.lower = b.Bounds[i-1]
		}
		c.upper = c.lower // for the last bucket, which has no upper bound
		if i < len(b.Bounds) {
			c.upper = b.Bounds[i]
		}
		if c.n > 0 {
			s.cells = append(s.cells, c)
		}
	}
}

// quantiles returns quantiles of the distribution, or NaN if it is empty.
func (s *spread) quantiles() (p50, p95, p99 float64) {
	slices.SortFunc(s.cells, func(a, b cell) int { return cmp.Compare(a.upper, b.upper) })
	total := 0.0
	for _, c := range s.cells {
		total += c.n
	}
	return s.quantile(0.5 * total), s.quantile(0.95 * total), s.quantile(0.99 * total)
}

// quantile returns the value with the given rank, or NaN if there is none. It assumes that the
// values in a cell are evenly distributed, on a logarithmic scale if the lower bound is positive.
func (s *spread) quantile(rank float64) float64 {
	for _, c := range s.cells {
		if rank > c.n {
			rank -= c.n
			continue
		}
		if c.lower <= 0 {
			return c.lower + (c.upper-c.lower)*rank/c.n
		}
		lower, upper := math.Log2(c.lower), math.Log2(c.upper)
		return math.Exp2(lower + (upper-lower)*rank/c.n)
	}
	if n := len(s.cells); n > 0 {
		return s.cells[n-1].upper // rounding error
	}
	return math.NaN()
}

// middle returns a value between the bounds of c that represents all of its values.
func (c cell) middle() float64 {
	if c.lower <= 0 {
		return c.upper / 2
	}
	return math.Sqrt(c.lower) * math.Sqrt(c.upper)
}

// Cumulative estimates how many values in b are at or below each of the bounds. b must have
// exponential buckets. Cumulative assumes that the values in a bucket are evenly distributed, on a
// logarithmic scale if the lower bound is positive.
func Cumulative(b *otlp.Buckets, bounds []float64) []uint64 {
	var s spread
	s.add(b, &otlp.Buckets{})
	counts := make([]uint64, len(bounds))
	for i, bound := range bounds {
		total := 0.0
		for _, c := range s.cells {
			switch {
			case c.upper <= bound:
				total += c.n
			case c.lower < bound && c.lower > 0:
				total += c.n * (math.Log2(bound) - math.Log2(c.lower)) / (math.Log2(c.upper) - math.Log2(c.lower))
			case c.lower < bound:
				total += c.n * (bound - c.lower) / (c.upper - c.lower)
			}
		}
		counts[i] = b.Count
		if total < float64(b.Count) {
			counts[i] = uint64(math.Round(total))
		}
	}
	return counts
}
