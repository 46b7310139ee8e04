package bench

import (
	"math"
	"slices"
)

// median returns the median of values, or 0 if there are none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k == 0 {
		return 0
	}
	return (sorted[(k-1)/2] + sorted[k/2]) / 2
}

// spread returns half the interquartile range of values, relative to their median.
func spread(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k < 2 || median(sorted) == 0 {
		return 0
	}
	return math.Abs(sorted[(3*(k-1)+2)/4]-sorted[(k-1)/4]) / 2 / median(sorted)
}
