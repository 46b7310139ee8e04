package sizing

import (
	"fmt"
	"math"
)

// Point is the throughput measured with a given number of workers.
type Point struct {
	Workers int
	Rate    float64 // tasks per second
}

// USL is the Universal Scalability Law: X(N) = Rate × N / (1 + Contention × (N-1) + Coherency × N ×
// (N-1)).
//
// Source: N. J. Gunther, "Guerrilla Capacity Planning", 2007.
type USL struct {
	Rate       float64 // tasks per second with one worker
	Contention float64 // serial fraction of the work, 0 to 1 (σ)
	Coherency  float64 // cost of coordination between each pair of workers, 0 or more (κ)
	R2         float64 // fraction of the points' variation that the law explains, at most 1
}

// Throughput returns the number of tasks per second that the law predicts for n workers.
func (u USL) Throughput(n float64) float64 {
	return u.Rate * n / (1 + u.Contention*(n-1) + u.Coherency*n*(n-1))
}

// Peak returns the number of workers at which throughput peaks. If Coherency is 0, it returns
// +Inf, since throughput levels off without a peak.
func (u USL) Peak() float64 {
	if u.Coherency == 0 {
		return math.Inf(1)
	}
	return max(1, math.Sqrt(max(0, 1-u.Contention)/u.Coherency))
}

// FitUSL fits the law to the curve of a sweep. It needs at least three different sizes, measured
// with the same work. Do not use points from a pool in production: their rate is the arrival rate,
// not the throughput that the size allows.
//
// FitUSL minimizes the squared relative errors of N/X, which is linear in the coefficients. No
// coefficient of the result is negative.
func FitUSL(points []Point) (USL, error) {
	sizes := map[int]bool{}
	for _, p := range points {
		if p.Workers < 1 || !(p.Rate > 0) || math.IsInf(p.Rate, 1) {
			return USL{}, fmt.Errorf(
				"sizing: %v tasks per second with %d workers: expected a positive finite rate and at least 1 worker",
				p.Rate,
				p.Workers,
			)
		}
		sizes[p.Workers] = true
	}
	if len(sizes) < 3 {
		return USL{}, fmt.Errorf("sizing: got %d different sizes, expected at least 3 to fit a curve", len(sizes))
	}
	best, bestErr := USL{}, math.Inf(1)
	for _, use := range [][3]bool{{true, true, true}, {true, true, false}, {true, false, true}, {true, false, false}} {
		u, ok := fitTerms(points, use)
		if !ok {
			continue
		}
		if e := u.squares(points); e < bestErr {
			best, bestErr = u, e
		}
	}
	if math.IsInf(bestErr, 1) {
		return USL{}, fmt.Errorf("sizing: no scalability curve fits these %d points", len(points))
	}
	best.R2 = best.explained(points)
	return best, nil
}

// squares returns the sum of the squared relative errors of N/X.
func (u USL) squares(points []Point) float64 {
	sum := 0.0
	for _, p := range points {
		e := p.Rate/u.Throughput(float64(p.Workers)) - 1
		sum += e * e
	}
	return sum
}

// explained returns the fraction of the variation of points that the law explains.
func (u USL) explained(points []Point) float64 {
	mean := 0.0
	for _, p := range points {
		mean += p.Rate / float64(len(points))
	}
	left, all := 0.0, 0.0
	for _, p := range points {
		e, d := p.Rate-u.Throughput(float64(p.Workers)), p.Rate-mean
		left, all = left+e*e, all+d*d
	}
	if all == 0 {
		return 1
	}
	return 1 - left/all
}

// fitTerms solves the least squares problem for the terms selected by use; the other coefficients
// are 0. It returns false if a coefficient is negative or not determined by the points.
func fitTerms(points []Point, use [3]bool) (USL, bool) {
	var m [3][4]float64 // normal equations
	for i := range use {
		if !use[i] {
			m[i][i] = 1
		}
	}
	for _, p := range points {
		addEquation(&m, terms(p, use))
	}
	x, ok := solve(m)
	if !ok || !(x[0] > 0) || x[1] < 0 || x[2] < 0 || x[1] > x[0] {
		return USL{}, false
	}
	return USL{Rate: 1 / x[0], Contention: x[1] / x[0], Coherency: x[2] / x[0]}, true
}

// terms returns the factor of each coefficient in the law's formula for N/X at p, divided by the
// measured N/X.
func terms(p Point, use [3]bool) (row [3]float64) {
	n := float64(p.Workers)
	for i, factor := range [3]float64{1, n - 1, n * (n - 1)} {
		if use[i] {
			row[i] = factor * p.Rate / n
		}
	}
	return row
}

func addEquation(m *[3][4]float64, row [3]float64) {
	for i := range row {
		for j := range row {
			m[i][j] += row[i] * row[j]
		}
		m[i][3] += row[i]
	}
}

// solve solves the linear equations m by Gauss–Jordan elimination with pivoting.
func solve(m [3][4]float64) (x [3]float64, ok bool) {
	for c := range m {
		pivot := c
		for r := c + 1; r < len(m); r++ {
			if math.Abs(m[r][c]) > math.Abs(m[pivot][c]) {
				pivot = r
			}
		}
		m[c], m[pivot] = m[pivot], m[c]
		if math.Abs(m[c][c]) < 1e-300 {
			return x, false
		}
		eliminate(&m, c)
	}
	for r := range m {
		x[r] = m[r][3] / m[r][r]
	}
	return x, true
}

// eliminate makes column c zero in all rows but row c.
func eliminate(m *[3][4]float64, c int) {
	for r := range m {
		if r == c {
			continue
		}
		f := m[r][c] / m[c][c]
		for k := c; k < len(m[r]); k++ {
			m[r][k] -= f * m[c][k]
		}
	}
}
