package harness

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// Result is what was measured of one case.
type Result struct {
	Case    Case
	Samples [][]Sample // by subject, then by round
}

// Spread is a median over rounds with its noise: the 95 % confidence interval of the median.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// spread needs no assumption about how values are distributed: the interval goes from the k-th smallest to the k-th largest value,
// where less than k of n are below the true median with a probability of at most 2.5 % (the sign test, Conover, Practical
// Nonparametric Statistics, 3.1). Below 6 values it is all of them, and means less than 95 %.
func spread(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	tail, term := 0.0, math.Pow(0.5, float64(n)) // of Binomial(n, 1/2)
	k := 0
	for tail+term <= 0.025 && k < n/2 {
		tail += term
		term *= float64(n-k) / float64(k+1)
		k++
	}
	k = max(k-1, 0) // as an index
	return Spread{Median: (v[n/2] + v[(n-1)/2]) / 2, Low: v[k], High: v[n-1-k]}
}

// over returns the spread of one figure of a subject.
func (r Result) over(subject int, figure func(Sample) float64) Spread {
	values := make([]float64, len(r.Samples[subject]))
	for i, s := range r.Samples[subject] {
		values[i] = figure(s)
	}
	return spread(values)
}

// against returns the ratio of our CPU time, less nanoseconds, to that of a subject.
func (r Result) against(subject int, less float64) Spread {
	ratios := make([]float64, len(r.Samples[subject]))
	for i, s := range r.Samples[subject] {
		ratios[i] = (r.Samples[0][i].CPU - less) / s.CPU
	}
	return spread(ratios)
}

// Missed returns a line for each bar that ours did not reach.
func (r Result) Missed() []string {
	var missed []string
	for _, b := range r.Case.Bars {
		got := r.against(r.Case.index(b.Peer), float64(b.Plus))
		if got.Median > b.Ratio {
			missed = append(missed, fmt.Sprintf("%s: %.2f of %s, the bar is %v", r.Case.Name, r.against(r.Case.index(b.Peer), 0).Median, b.Peer, b))
		}
	}
	if bytes := r.over(0, func(s Sample) float64 { return s.Bytes }).Median; r.Case.NoAlloc && bytes >= 1 {
		missed = append(missed, fmt.Sprintf("%s: %.0f B per operation, the bar is 0", r.Case.Name, bytes))
	}
	return missed
}

// Table writes the results as Markdown.
func Table(w io.Writer, results []Result) {
	fmt.Fprintln(w, "| case | subject | CPU ns/op (min–max) | wall ns/op | B/op | allocs/op | ours ÷ it (95 %) | bar |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, r := range results {
		for i, subject := range r.Case.Subjects {
			name, ratio, bar := "", "", ""
			if i == 0 {
				name = r.Case.Name
			} else {
				s := r.against(i, 0)
				ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Low, s.High)
			}
			for _, b := range r.Case.Bars {
				if b.Peer == subject.Name {
					bar = b.String()
				}
			}
			cpu := func(s Sample) float64 { return s.CPU }
			lowest, highest := r.extremes(i)
			fmt.Fprintf(w, "| %s | %s | %.1f (%.1f–%.1f) | %.1f | %.0f | %.2f | %s | %s |\n", name, subject.Name,
				r.over(i, cpu).Median, lowest, highest,
				r.over(i, func(s Sample) float64 { return s.Wall }).Median,
				r.over(i, func(s Sample) float64 { return s.Bytes }).Median,
				r.over(i, func(s Sample) float64 { return s.Allocs }).Median, ratio, bar)
		}
	}
}

func (r Result) extremes(subject int) (lowest, highest float64) {
	byCPU := func(a, b Sample) int { return int(math.Copysign(1, a.CPU-b.CPU)) }
	return slices.MinFunc(r.Samples[subject], byCPU).CPU, slices.MaxFunc(r.Samples[subject], byCPU).CPU
}
