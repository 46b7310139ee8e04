package autosize

import (
	"fmt"
	"math"

	"github.com/poolgauge/poolgauge/diagnose"
)

// sizer decides on the limit of one pool.
type sizer struct {
	min, max int
	last     diagnose.Figures
	judge    diagnose.Judge
	advisor  diagnose.Advisor
	trial    trial
	ceiling  int // limit beyond which more slots did not help, while barred
	barred   int // windows for which it holds
	patience int // for how many windows it held the last time
}

// trial is a higher limit that has to show that it helps. The zero trial is none.
type trial struct {
	from, to int
	before   float64 // uses that ended a second with the limit from
	ended    float64 // uses that ended since
	seconds  float64
	windows  int
}

const (
	// share of what the slots that a trial adds would serve in proportion, which it has to serve
	worth      = 0.25
	sample     = 100 // uses that decide a trial
	longest    = 5   // windows after which fewer do
	firstBar   = 10  // windows for which a limit that did not help is not tried again
	longestBar = 160
)

// next takes what the pool reports now, and what is known of the machine since the last call. It
// returns the limit that the pool should have from now on, and why; it is the one that it has if
// there is nothing to do.
func (s *sizer) next(f diagnose.Figures, m diagnose.Machine) (limit int, reason string) {
	limit = int(f.Limit)
	last := s.last
	s.last = f
	_, finding := s.judge.See(f, m)
	w := diagnose.Between(last, f)
	if last.At.IsZero() || math.IsNaN(w.Limit) { // it has just changed
		return limit, ""
	}
	s.barred = max(0, s.barred-1)
	verdict := finding.Verdict
	if verdict == diagnose.Undetermined && w.IsCongested() {
		verdict = diagnose.TooSmall // a trial tells
	}
	advice := s.advisor.See(w, m, verdict)
	if s.trial.to != limit {
		s.trial = trial{} // another caller resized the pool
	} else if s.trial.to != 0 {
		if reason := s.judgeTrial(w); reason != "" {
			return s.trial.from, reason
		}
	}
	if advice.Limit == 0 || s.trial.to != 0 {
		return limit, ""
	}
	target := min(max(advice.Limit, s.min), s.max)
	if s.barred > 0 {
		target = min(target, max(limit, s.ceiling))
	}
	if target > limit {
		s.trial = trial{from: limit, to: target, before: w.Ended / w.Seconds}
	}
	return target, advice.Reason
}

// judgeTrial adds a window to the trial. It returns why the trial failed, or "".
func (s *sizer) judgeTrial(w diagnose.Window) (failed string) {
	t := &s.trial
	t.ended += w.Ended
	t.seconds += w.Seconds
	t.windows++
	if t.ended < sample && t.windows < longest {
		return ""
	}
	to := t.to
	t.to = 0
	rate := t.ended / t.seconds
	wanted := t.before * (1 + worth*(float64(to)/float64(t.from)-1))
	if !w.IsCongested() || rate >= wanted {
		s.patience = 0
		return ""
	}
	s.patience = min(max(firstBar, 2*s.patience), longestBar)
	s.barred, s.ceiling = s.patience, t.from
	return fmt.Sprintf("%d slots served %.3g requests a second, and %d served %.3g", to, rate, t.from, t.before)
}
