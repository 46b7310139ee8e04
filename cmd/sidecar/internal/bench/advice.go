package bench

import "fmt"

const (
	// nearBest is the part of the best throughput at which a smaller size is preferred.
	nearBest = 0.9
	// stopped is the part of periods beyond which a quota is called the limit.
	stopped = 0.1
	// busy is the part of the CPUs beyond which they are called the limit.
	busy = 0.85
	// computing is the part of a task's time on CPU, alone, beyond which it is called CPU-bound.
	computing = 0.7
	// unsteady is the spread between rounds beyond which nothing is certain.
	unsteady = 0.2
)

// conclude finds the best model and says why.
func (w *WorkReport) conclude(quota float64) {
	sequential := 0.0
	for _, r := range w.Rows {
		if r.Model == Sequential {
			sequential = r.Rate
		}
	}
	for i := range w.Rows {
		if sequential > 0 {
			w.Rows[i].SpeedUp = w.Rows[i].Rate / sequential
		}
	}
	best := w.recommended()
	if best == nil {
		w.Advice = "Nothing was measured."
		return
	}
	w.Best, w.Size = best.Model, best.Size
	w.Advice = best.sentence(w) + " " + w.reason(best, quota)
	differed := best.Spread
	if alone := w.row(Sequential); alone != nil {
		differed = max(differed, alone.Spread) // what it is compared with
	}
	if differed > unsteady {
		w.Advice += fmt.Sprintf(
			" This is uncertain: rounds differed by ±%.0f %%. Measure again on a quieter machine.",
			100*differed,
		)
	}
	if g := w.row(Goroutines); g != nil && best.Memory > 0 && g.Memory > 4*best.Memory && g.Memory > 1<<20 {
		w.Advice += fmt.Sprintf(
			" A goroutine for each task took %s of memory, this %s.",
			size(g.Memory),
			size(best.Memory),
		)
	}
}

// recommended is the smallest pool that comes near the best of them; sequential where none gains a
// tenth. It compares the better half of the rounds: what happens beside a task only slows it. A
// goroutine for each task is never recommended: nothing bounds its memory.
func (w *WorkReport) recommended() *Row {
	top := 0.0
	for _, r := range w.Rows {
		if r.Model == Sequential || r.Model == Workers {
			top = max(top, r.calm)
		}
	}
	var best *Row
	for i := range w.Rows {
		r := &w.Rows[i]
		bounded := r.Model == Sequential || r.Model == Workers
		if bounded && r.calm >= nearBest*top && (best == nil || r.Size < best.Size) {
			best = r
		}
	}
	return best
}

func (w *WorkReport) row(kind string) *Row {
	for i := range w.Rows {
		if w.Rows[i].Model == kind {
			return &w.Rows[i]
		}
	}
	return nil
}

func (r *Row) sentence(w *WorkReport) string {
	if r.Model == Sequential {
		return "Run it sequentially: no pool gains a tenth."
	}
	last := w.row(Workers)
	for i := range w.Rows {
		if w.Rows[i].Model == Workers {
			last = &w.Rows[i]
		}
	}
	s := fmt.Sprintf("Use %d workers: %.3g × sequential", r.Size, r.SpeedUp)
	if last.Size == r.Size {
		return s + ", and still rising: try more (--max)."
	}
	return s + ", and more bring less than a tenth."
}

// reason says what limits the throughput, where that is known.
func (w *WorkReport) reason(best *Row, quota float64) string {
	alone := w.row(Sequential)
	used := best.CPUs
	// it cannot use more than one: the pools say whether there were more
	if best.Model == Sequential {
		for _, r := range w.Rows {
			used = max(used, r.CPUs)
		}
	}
	switch {
	case w.Throttled > stopped:
		return fmt.Sprintf("The CPU quota of %.3g CPUs is the limit, not the code: "+
			"it stopped the process in %.0f %% of its periods.", quota, 100*w.Throttled)
	case used == 0:
		return ""
	case used > busy*cpus():
		return fmt.Sprintf("The CPUs are the limit: it uses %.2g of %.2g.", used, cpus())
	case alone != nil && alone.CPU > computing*alone.P50:
		return fmt.Sprintf("The tasks compute, and got %.2g of %.2g CPUs: something else took the rest.", used, cpus())
	default:
		return fmt.Sprintf("The CPUs are not the limit: it uses %.2g of %.2g and waits otherwise.", used, cpus())
	}
}
