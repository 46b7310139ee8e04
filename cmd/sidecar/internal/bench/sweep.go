package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/fold"
	"github.com/poolgauge/poolgauge/pools/sizing"
)

// SweepReport is the result of a sweep of one kind of work. With --sweep --json it is printed as
// JSON.
type SweepReport struct {
	Name       string       `json:"name"`
	What       string       `json:"what"`
	Knee       int          `json:"knee,omitempty"` // absent if nothing was measured
	Low        int          `json:"low,omitempty"`
	High       int          `json:"high,omitempty"`
	Confidence float64      `json:"confidence"`
	Clear      bool         `json:"clear"`
	Rising     bool         `json:"rising"`
	Curve      []SweepPoint `json:"curve"`
	Advice     string       `json:"advice"`
	Error      string       `json:"error,omitempty"`
	result     sizing.SweepResult
}

// SweepPoint is a point of the throughput curve.
type SweepPoint struct {
	Workers int     `json:"workers"`
	Rate    float64 `json:"tasks_per_second"`
	Error   float64 `json:"standard_error"` // relative
}

// Sweep finds the best number of workers for each kind of work with [sizing.Sweep]. Each kind gets
// an equal share of the remaining budget. When ctx is done, Sweep returns the results so far.
func Sweep(ctx context.Context, o Options) []SweepReport {
	var all []SweepReport
	deadline := time.Now().Add(o.Budget)
	for i, w := range o.Works {
		if ctx.Err() != nil {
			break
		}
		share := max(time.Until(deadline)/time.Duration(len(o.Works)-i), time.Millisecond)
		otherShares := time.Duration(len(o.Works)-i-1) * share
		all = append(all, sweep(ctx, w, sizing.SweepOptions{
			Max: o.Max, Budget: share, Seed: o.Seed,
			Progress: func(p sizing.SweepProgress) {
				if o.Progress != nil {
					o.Progress(fmt.Sprintf("round %d: %s, %d workers", p.Round, w.Name, p.Workers), p.Left+otherShares)
				}
			},
		}))
	}
	return all
}

func sweep(ctx context.Context, w Work, opts sizing.SweepOptions) SweepReport {
	report := SweepReport{Name: w.Name, What: w.What}
	t, done, err := w.prepare(ctx)
	if err != nil {
		report.Error, report.Advice = err.Error(), "Nothing was measured."
		return report
	}
	defer done()
	r, err := sizing.Sweep(ctx, t, opts)
	if err != nil && ctx.Err() == nil {
		report.Error = err.Error()
	}
	report.result, report.Advice = r, r.String()
	report.Knee, report.Low, report.High = r.Knee, r.Low, r.High
	report.Confidence, report.Clear, report.Rising = r.Confidence, r.Clear, r.Rising
	for _, p := range r.Curve {
		report.Curve = append(report.Curve, SweepPoint{p.Workers, p.Rate, p.Error})
	}
	return report
}

// WriteSweeps writes the curves for a terminal of 80 columns.
func WriteSweeps(w io.Writer, all []SweepReport) error {
	out := bufio.NewWriter(w)
	for i, r := range all {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s: %s\n", r.Name, r.What)
		if err := r.result.WriteCurve(out); err != nil {
			return err
		}
		if r.Error != "" {
			fmt.Fprintln(out, fold.Text("Ended early: "+r.Error, textWidth, ""))
		}
		fmt.Fprintln(out, fold.Text(r.Advice, textWidth, ""))
	}
	return out.Flush()
}
