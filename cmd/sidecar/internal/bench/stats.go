package bench

import (
	"math"
	"slices"
)

// median returns the middle of the values, 0 if there are none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k == 0 {
		return 0
	}
	return (sorted[(k-1)/2] + sorted[k/2]) / 2
}

// spread returns half the distance of the quartiles, relative to the median.
func spread(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k < 2 || median(sorted) == 0 {
		return 0
	}
	return math.Abs(sorted[(3*(k-1)+2)/4]-sorted[(k-1)/4]) / 2 / median(sorted)
}
