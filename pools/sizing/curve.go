package sizing

import (
	"math"
	"math/rand/v2"
	"slices"
)

// samples holds the logarithms of measured rates, by size (number of workers) and round. A size
// need not have been measured in every round.
type samples map[int]map[int]float64

func (s samples) add(workers, round int, rate float64) {
	if s[workers] == nil {
		s[workers] = map[int]float64{}
	}
	s[workers][round] = math.Log(max(rate, 1e-12))
}

func (s samples) sizes() []int {
	sizes := make([]int, 0, len(s))
	for n := range s {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	return sizes
}

// estimate is a point of the curve: the logarithm of its rate, the standard error, and the measured
// values, all with the effects of rounds removed.
type estimate struct {
	workers int
	log, se float64
	values  []float64
}

// estimates separates the effect of a size from the effect of a round: log rate = size + round. A
// drift of the machine's speed affects all sizes of a round alike, so it does not bend the curve.
// The two effects are computed alternately, from the upper values, so that measurements slowed by a
// neighbor do not count.
//
// Source: J. W. Tukey, "Exploratory Data Analysis", 1977 (median polish).
func (s samples) estimates() []estimate {
	sizes := s.sizes()
	effect := map[int]float64{} // by round
	at := make([]float64, len(sizes))
	for range 6 {
		byRound := map[int][]float64{}
		for i, n := range sizes {
			at[i] = typical(s.adjusted(n, effect))
			for r, v := range s[n] {
				byRound[r] = append(byRound[r], v-at[i])
			}
		}
		clear(effect)
		for r, residuals := range byRound {
			effect[r] = typical(residuals)
		}
	}
	points := make([]estimate, len(sizes))
	for i, n := range sizes {
		values := s.adjusted(n, effect)
		points[i] = estimate{workers: n, log: typical(values), se: standardError(values), values: values}
	}
	return points
}

// adjusted returns the values for a number of workers minus the effects of their rounds, in
// increasing order.
func (s samples) adjusted(workers int, effect map[int]float64) []float64 {
	values := make([]float64, 0, len(s[workers]))
	for r, v := range s[workers] {
		values = append(values, v-effect[r])
	}
	slices.Sort(values)
	return values
}

// typical returns the mean of the values in the upper third, without the highest tenth. Neighbors
// can only slow a task down, so lower values may reflect a neighbor, while upper values reflect the
// task. typical sorts values.
func typical(values []float64) float64 {
	k := len(values)
	if k == 0 {
		return 0
	}
	slices.Sort(values)
	from, to := 2*k/3, k-k/10
	sum := 0.0
	for _, v := range values[from:to] {
		sum += v
	}
	return sum / float64(to-from)
}

// standardError returns the standard error of typical, estimated from the quartiles. For fewer than
// three values, it returns 0.1, or 10% of the rate.
func standardError(sorted []float64) float64 {
	k := len(sorted)
	if k < 3 {
		return 0.1
	}
	quartiles := sorted[(3*(k-1)+2)/4] - sorted[(k-1)/4]
	return 1.1 * quartiles / 1.35 / math.Sqrt(float64(k))
}

// top returns the logarithm of the highest rate, as the mean over all sizes that do not differ
// significantly from the best. The rate of the best size alone would be too high, because it is the
// best partly by chance.
func top(points []estimate) float64 {
	best := points[0]
	for _, p := range points {
		if p.log > best.log {
			best = p
		}
	}
	sum, weights := 0.0, 0.0
	for _, p := range points {
		if best.log-p.log <= 0.01+1.5*math.Hypot(p.se, best.se) {
			w := 1 / (p.se*p.se + 1e-4)
			sum, weights = sum+w*p.log, weights+w
		}
	}
	return sum / weights
}

// settled returns the points that were measured at least a third as often as any other point. If a
// neighbor is active at times, points with fewer measurements depend on chance, and the one
// measured at the best times would become the top.
func settled(points []estimate) []estimate {
	most := 0
	for _, p := range points {
		most = max(most, len(p.values))
	}
	kept := make([]estimate, 0, len(points))
	for _, p := range points {
		if 3*len(p.values) >= most {
			kept = append(kept, p)
		}
	}
	return kept
}

// bracket returns the knee, and the largest settled size below the knee, or 0 if there is none. The
// knee is the smallest size with 95% of the highest rate, by linear interpolation between measured
// sizes. bracket assumes that the curve rises up to the best size, and pools adjacent sizes where
// noise makes it fall.
func bracket(points []estimate) (below, knee int) {
	points = settled(points)
	goal := math.Exp(top(points)) * goodEnough
	rates := rising(points)
	prevN, prev := 0, 0.0
	for i, p := range points {
		if rates[i] >= goal {
			part := (goal - prev) / (rates[i] - prev)
			n := float64(prevN) + part*float64(p.workers-prevN)
			// A size that is less than a tenth of a worker too small is good enough.
			return prevN, max(prevN+1, int(math.Ceil(n-0.1)))
		}
		prevN, prev = p.workers, rates[i]
	}
	last := points[len(points)-1].workers
	return last, last
}

// rising returns the rates of points. Where rates decrease before the best size, they are replaced
// with the mean of the adjacent points. This is the pool-adjacent-violators algorithm (Ayer et al.,
// 1955).
func rising(points []estimate) []float64 {
	type block struct{ log, weight, size float64 }
	var blocks []block
	best := 0
	for i, p := range points {
		if p.log > points[best].log {
			best = i
		}
	}
	for _, p := range points[:best+1] {
		b := block{p.log, 1 / (p.se*p.se + 1e-4), 1}
		for len(blocks) > 0 && blocks[len(blocks)-1].log > b.log {
			a := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			w := a.weight + b.weight
			b = block{(a.log*a.weight + b.log*b.weight) / w, w, a.size + b.size}
		}
		blocks = append(blocks, b)
	}
	rates := make([]float64, 0, len(points))
	for _, b := range blocks {
		for range int(b.size) {
			rates = append(rates, math.Exp(b.log))
		}
	}
	for _, p := range points[best+1:] {
		rates = append(rates, math.Exp(p.log))
	}
	return rates
}

// resample returns the knees of curves whose values are drawn at random from the measured values,
// in increasing order.
//
// Source: B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
func resample(points []estimate, times int, rng *rand.Rand) []int {
	knees := make([]int, times)
	drawn := slices.Clone(points)
	for i := range knees {
		for j, p := range points {
			if len(p.values) < 3 { // too few to draw from
				drawn[j].log = p.log + p.se*rng.NormFloat64()
				continue
			}
			values := make([]float64, len(p.values))
			for k := range values {
				values[k] = p.values[rng.IntN(len(p.values))]
			}
			drawn[j].log = typical(values)
		}
		_, knees[i] = bracket(drawn)
	}
	slices.Sort(knees)
	return knees
}
