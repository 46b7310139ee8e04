package harness

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Result holds the measurements of one case.
type Result struct {
	Case    Case
	Samples [][]Sample // by subject, then by round
	Spun    []float64  // CPU time that spinning for a nanosecond took at the end of each round
}

// Spread is a median over rounds and its noise, which is the median's 95% confidence interval.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// spread returns the median of values and its noise, without assuming anything about their
// distribution. The interval goes from the k-th smallest to the k-th largest value, where the
// probability that fewer than k of n values are below the true median is at most 2.5% (the sign
// test, Conover, Practical Nonparametric Statistics, 3.1). With fewer than 6 values, the interval
// contains all of them, and its confidence is below 95%.
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

// figures returns a subject's values of one metric, by round.
func (r Result) figures(subject int, figure func(Sample) float64) []float64 {
	values := make([]float64, len(r.Samples[subject]))
	for i, s := range r.Samples[subject] {
		values[i] = figure(s)
	}
	return values
}

// spreadOf returns the spread of a subject's values of f.
func (r Result) spreadOf(subject int, f Figure) Spread {
	return spread(r.figures(subject, f.of))
}

// against returns the spread of the ratio of our value of f, minus allowance, to the given
// subject's value.
func (r Result) against(subject int, f Figure, allowance float64) Spread {
	ratios := make([]float64, len(r.Samples[subject]))
	for i, s := range r.Samples[subject] {
		ratios[i] = (f.of(r.Samples[0][i]) - allowance) / f.of(s)
	}
	return spread(ratios)
}

// mainFigure returns the metric whose ratios the table shows.
func (r Result) mainFigure() Figure {
	if r.counts() {
		return Count
	}
	for _, f := range []Figure{CPU, Wall, Bytes} {
		if r.spreadOf(0, f).Median != 0 {
			return f
		}
	}
	return Count
}

// counts reports whether the case counts events.
func (r Result) counts() bool {
	return slices.ContainsFunc(r.Case.Bars, func(b Bar) bool { return b.Of == Count })
}

// ratio returns the ratio of our result to a subject's, and false if the ratio is undefined.
func (r Result) ratio(subject int) (Spread, bool) {
	s := r.against(subject, r.mainFigure(), 0)
	sum := s.Median + s.Low + s.High
	return s, !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

// Table writes the results as Markdown.
func Table(w io.Writer, results []Result) {
	Header(w)
	for _, r := range results {
		r.Rows(w)
	}
	Footer(w, results)
}

// Header writes a table's header. Call Rows for each result when it becomes available, and then
// Footer.
func Header(w io.Writer) {
	fmt.Fprintln(
		w,
		"| case | subject | order | CPU ns/op (min–max) | wall ns/op | max | B/op | allocs/op | count | ours ÷ peer (95%) | target | met |",
	)
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|---|")
}

// Rows writes a row for each subject.
func (r Result) Rows(w io.Writer) {
	for i := range r.Case.Subjects {
		fmt.Fprintln(w, r.row(i))
	}
}

// Footer writes the text below a table.
func Footer(w io.Writer, results []Result) {
	var spun []float64
	for _, r := range results {
		spun = append(spun, r.Spun...)
	}
	if len(spun) == 0 {
		return
	}
	s := spread(spun)
	fmt.Fprintf(
		w,
		"\nA microsecond of spinning, calibrated at the start of each round, took %.3f µs of CPU at its end (%.3f–%.3f).\n",
		s.Median,
		slices.Min(spun),
		slices.Max(spun),
	)
}

// row returns the table row for subject i.
func (r Result) row(i int) string {
	s := r.Case.Subjects[i]
	name, ratio := r.Case.Name, ""
	if i > 0 {
		name = ""
		if spread, ok := r.ratio(i); ok {
			ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", spread.Median, spread.Low, spread.High)
		}
	}
	single := s.Measure != nil
	cell := func(f Figure, format string) string {
		v := r.spreadOf(i, f).Median
		if single && v == 0 {
			return ""
		}
		return fmt.Sprintf(format, v)
	}
	cpu, count, slowest := "", "", ""
	if v := r.figures(i, CPU.of); slices.Max(v) != 0 {
		cpu = fmt.Sprintf("%.1f (%.1f–%.1f)", spread(v).Median, slices.Min(v), slices.Max(v))
	}
	if v := r.figures(i, Max.of); slices.Max(v) > 0 {
		slowest = time.Duration(slices.Max(v)).Round(100 * time.Nanosecond).String()
	}
	if r.counts() {
		count = fmt.Sprintf("%.0f", r.spreadOf(i, Count).Median)
	}
	allocs := spread(r.figures(i, func(s Sample) float64 { return s.Allocs })).Median
	allocated := fmt.Sprintf("%.2f", allocs)
	if single && allocs == 0 {
		allocated = ""
	}
	bars, met := r.bars(i)
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |", name, s.Name, s.Order,
		cpu, cell(Wall, "%.1f"), slowest, cell(Bytes, "%.0f"), allocated, count, ratio, bars, met)
}

// bars returns the targets relative to subject i, and whether each is met. Targets without a peer
// are listed with our subject, which is number 0.
func (r Result) bars(i int) (bars, met string) {
	peer := ""
	if i > 0 {
		peer = r.Case.Subjects[i].Name
	}
	var all, reached []string
	add := func(bar string, ok bool) {
		all = append(all, bar)
		reached = append(reached, map[bool]string{true: "yes", false: "**no**"}[ok])
	}
	for _, b := range r.Case.Bars {
		if b.Peer == peer {
			add(b.String(), r.met(b))
		}
	}
	if i == 0 && r.Case.NoAlloc {
		add("0 B", r.noAlloc())
	}
	return strings.Join(all, "; "), strings.Join(reached, "; ")
}
