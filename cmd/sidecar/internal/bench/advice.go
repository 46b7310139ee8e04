package bench

import "fmt"

const (
	// nearBest is the share of the best pool's throughput above which a smaller pool is
	// recommended.
	nearBest = 0.9
	// throttled is the share of throttled periods above which the advice names the CPU quota as the
	// limit.
	throttled = 0.1
	// busy is the CPU utilization above which the advice names the CPUs as the limit.
	busy = 0.85
	// computing is the share of time on a CPU above which a sequential task counts as CPU-bound.
	computing = 0.7
	// unsteady is the spread between rounds above which the advice says that it is uncertain.
	unsteady = 0.2
)

// conclude chooses the best model and writes the advice that explains the choice.
func (w *WorkReport) conclude(quota float64) {
	sequential := w.row(Sequential)
	for i := range w.Rows {
		if sequential != nil {
			w.Rows[i].SpeedUp = median(w.Rows[i].relative(sequential.rates()))
		}
	}
	fastest := w.fastest()
	if fastest == nil {
		w.Advice = "Nothing was measured."
		return
	}
	best := w.smallest(w.plateau(fastest), fastest)
	w.Best, w.Size = best.Model, best.Size
	w.Advice = best.recommendation(w) + " " + w.reason(best, quota)
	if differed := gainSpread(fastest, sequential); differed > unsteady {
		w.Advice += fmt.Sprintf(" This is uncertain: the gain differed by ±%.0f%% between rounds. "+
			"Measure again on a quieter machine.", 100*differed)
	}
	if g := w.row(Goroutines); g != nil && best.Memory > 0 && g.Memory > 4*best.Memory && g.Memory > 1<<20 {
		w.Advice += fmt.Sprintf(
			" A goroutine for each task took %s of memory; this takes %s.",
			size(g.Memory),
			size(best.Memory),
		)
	}
}

// gainSpread returns the spread between rounds of the fastest pool's gain over sequential runs. If
// sequential runs are the fastest, or were not measured, it returns the spread of the throughput.
func gainSpread(fastest, sequential *Row) float64 {
	if sequential == nil || fastest == sequential {
		return fastest.Spread
	}
	return spread(fastest.relative(sequential.rates()))
}

// recommendable reports whether r may be recommended. A goroutine for each task is never
// recommended, since nothing bounds its memory.
func (r *Row) recommendable() bool { return r.Model == Sequential || r.Model == Workers }

// relative returns the row's throughput in each round, as a multiple of the reference for that
// round. All rows are measured in quick succession in each round, so a drifting disk or clock rate
// changes a row and its reference by the same factor.
func (r *Row) relative(reference []float64) []float64 {
	ratios := make([]float64, min(len(r.runs), len(reference)))
	for i := range ratios {
		ratios[i] = r.runs[i].rate / reference[i]
	}
	return ratios
}

// fastest returns the row that beats the others in most rounds. It considers only rows that may be
// recommended, and returns nil if nothing was measured.
func (w *WorkReport) fastest() *Row {
	var best *Row
	for i := range w.Rows {
		r := &w.Rows[i]
		if r.recommendable() && (best == nil || median(r.relative(best.rates())) > 1) {
			best = r
		}
	}
	return best
}

// plateau returns an estimate of the highest throughput in each round: the mean over all pools
// close to the fastest, since the fastest alone may have been lucky.
func (w *WorkReport) plateau(fastest *Row) []float64 {
	sums, pools := fastest.rates(), 1.0
	for i := range w.Rows {
		r := &w.Rows[i]
		if r == fastest || !r.recommendable() || median(r.relative(fastest.rates())) < nearBest {
			continue
		}
		sums, pools = sums[:min(len(sums), len(r.runs))], pools+1
		for round := range sums {
			sums[round] += r.runs[round].rate
		}
	}
	for round := range sums {
		sums[round] /= pools
	}
	return sums
}

// smallest returns the smallest pool that reaches nine tenths of the highest throughput in most
// rounds, or the sequential row if no pool is a tenth faster.
func (w *WorkReport) smallest(highest []float64, fastest *Row) *Row {
	best := fastest
	for i := range w.Rows {
		r := &w.Rows[i]
		if r.recommendable() && r.Size < best.Size && median(r.relative(highest)) >= nearBest {
			best = r
		}
	}
	return best
}

// row returns the first row of the given model, or nil if there is none.
func (w *WorkReport) row(model string) *Row {
	for i := range w.Rows {
		if w.Rows[i].Model == model {
			return &w.Rows[i]
		}
	}
	return nil
}

// recommendation returns the sentence that recommends r, which is a row of w.
func (r *Row) recommendation(w *WorkReport) string {
	if r.Model == Sequential {
		return "Run it sequentially: no pool is even a tenth faster."
	}
	largest := r
	for i := range w.Rows {
		if w.Rows[i].Model == Workers {
			largest = &w.Rows[i]
		}
	}
	s := fmt.Sprintf("Use %d workers: %.3g × sequential", r.Size, r.SpeedUp)
	if largest.Size == r.Size {
		return s + ", and still rising: try more (--max)."
	}
	return s + "; more workers add less than a tenth."
}

// reason returns a sentence that says what limits the throughput, or "" if that is unknown.
func (w *WorkReport) reason(best *Row, quota float64) string {
	sequential := w.row(Sequential)
	used := best.CPUs
	// A sequential run uses at most one CPU. Only the pools show whether more were available.
	if best.Model == Sequential {
		for _, r := range w.Rows {
			used = max(used, r.CPUs)
		}
	}
	switch {
	case w.Throttled > throttled:
		return fmt.Sprintf("The CPU quota of %.3g CPUs is the limit, not the code: "+
			"it throttled the process in %.0f%% of its periods.", quota, 100*w.Throttled)
	case used == 0:
		return ""
	case used > busy*cpus():
		return fmt.Sprintf("The CPUs are the limit: it uses %.2g of %.2g.", used, cpus())
	case sequential != nil && sequential.CPU > computing*sequential.P50:
		return fmt.Sprintf("The tasks compute, and got %.2g of %.2g CPUs: other processes took the rest.", used, cpus())
	default:
		return fmt.Sprintf("The CPUs are not the limit: it uses %.2g of %.2g, and waits the rest of the time.",
			used, cpus())
	}
}
