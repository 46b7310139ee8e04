package sizing

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// String returns the result in one or two sentences.
func (r SweepResult) String() string {
	if r.Knee == 0 {
		return "Nothing has been measured."
	}
	best, knee := r.best(), r.rateAt(r.Knee)
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"%s %s %s tasks/s, %.0f%% of the highest throughput (%s with %d)",
		count(
			r.Knee,
			"worker",
		),
		verb(r.Knee, "does", "do"),
		number(knee),
		100*knee/best.Rate,
		number(best.Rate),
		best.Workers,
	)
	switch {
	case r.Rising && r.FailedAt > 0:
		fmt.Fprintf(&b, "; tasks fail with %d workers (%v), so larger sizes cannot be used.", r.FailedAt, r.FailedWith)
	case r.Rising:
		b.WriteString("; throughput still rises there: the best size is larger than those measured.")
	default:
		b.WriteString("; more workers only wait for each other.")
	}
	fmt.Fprintf(
		&b,
		" Confidence %.0f%%: nine in ten such measurements give %s.",
		100*r.Confidence,
		span(r.Low, r.High),
	)
	if !r.Clear && !r.Rising {
		b.WriteString(" The sweep ended before this was clear.")
	}
	return b.String()
}

// best returns the point with the highest rate. The curve must not be empty.
func (r SweepResult) best() SweepPoint {
	best := r.Curve[0]
	for _, p := range r.Curve {
		if p.Rate > best.Rate {
			best = p
		}
	}
	return best
}

// rateAt returns the rate at the given number of workers, by linear interpolation.
func (r SweepResult) rateAt(workers int) float64 {
	var prev SweepPoint
	for _, p := range r.Curve {
		if p.Workers >= workers {
			part := float64(workers-prev.Workers) / float64(p.Workers-prev.Workers)
			return prev.Rate + part*(p.Rate-prev.Rate)
		}
		prev = p
	}
	return prev.Rate
}

// barWidth is the width of a full bar, in columns. It keeps the lines of the chart within 80
// columns.
const barWidth = 36

// WriteCurve writes the curve as a text chart that fits an 80-column terminal, with the knee
// marked.
func (r SweepResult) WriteCurve(w io.Writer) error {
	out := bufio.NewWriter(w)
	if len(r.Curve) > 0 {
		best := r.best().Rate
		fmt.Fprintf(out, "%8s %11s %7s  %-*s %10s\n", "workers", "tasks/s", "±", barWidth, "", "latency")
		marked := false
		for _, p := range r.Curve {
			mark := " "
			if !marked && p.Workers >= r.Knee {
				mark, marked = "◀", true
			}
			fmt.Fprintf(out, "%8d %11s %6.1f%%  %s%s %9s\n", p.Workers, number(p.Rate), 100*p.Error,
				bar(p.Rate/best), mark, shortTime(p.Latency()))
		}
	}
	return out.Flush()
}

// bar returns a bar that is filled up to the given fraction, 0 to 1, in eighths of a column.
func bar(fraction float64) string {
	eighths := int(math.Round(8 * float64(barWidth) * min(1, max(0, fraction))))
	full := strings.Repeat("█", eighths/8)
	if eighths%8 > 0 {
		full += string([]rune("▏▎▍▌▋▊▉")[eighths%8-1])
	}
	return full + strings.Repeat(" ", barWidth-len([]rune(full)))
}

// number formats v with three significant digits or, from 100 up, as an integer.
func number(v float64) string {
	if v >= 100 || v == 0 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// shortTime formats d with about three significant digits.
func shortTime(d time.Duration) string {
	unit := time.Duration(math.Pow(10, max(0, math.Floor(math.Log10(max(1, float64(d))))-2)))
	return d.Round(unit).String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func span(low, high int) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}
