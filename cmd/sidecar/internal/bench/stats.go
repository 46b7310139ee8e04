package bench

import (
	"math"
	"slices"
)

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k == 0 {
		return 0
	}
	return (sorted[(k-1)/2] + sorted[k/2]) / 2
}

// upperHalf is the mean of the values from the median on.
func upperHalf(values []float64) float64 {
	upper := slices.Sorted(slices.Values(values))[len(values)/2:]
	sum := 0.0
	for _, v := range upper {
		sum += v
	}
	return sum / float64(len(upper))
}

// spread is half the distance of the quartiles, relative to the median.
func spread(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k < 2 || median(sorted) == 0 {
		return 0
	}
	return math.Abs(sorted[(3*(k-1)+2)/4]-sorted[(k-1)/4]) / 2 / median(sorted)
}
