package autosize

import (
	"fmt"
	"math"

	"github.com/poolgauge/poolgauge/diagnose"
)

// sizer decides on one pool's limit.
type sizer struct {
	min, max int
	last     diagnose.Figures
	judge    diagnose.Judge
	advisor  diagnose.Advisor
	trial    trial
	ceiling  int // limit above which more slots did not help; valid while barred > 0
	barred   int // number of windows for which ceiling still applies
	patience int // number of windows for which ceiling applied the last time
}

// trial is a test of whether a higher limit helps. The zero trial means no trial.
type trial struct {
	from, to int
	before   float64 // uses ended per second under the old limit (from)
	ended    float64 // uses that have ended since the trial started
	seconds  float64
	windows  int
}

const (
	// minimum throughput of the added slots, as a fraction of their proportional share
	worth      = 0.25
	sample     = 100 // number of ended uses after which a trial is decided
	longest    = 5   // number of windows after which a trial is decided even with fewer uses
	firstBar   = 10  // number of windows for which a limit that did not help is not tried again
	longestBar = 160
)

// next takes f, the pool's current measurements, and m, which describes the machine since the last
// call. It returns the new limit and the reason for the change, or the current limit if no change
// is needed.
func (s *sizer) next(f diagnose.Figures, m diagnose.Machine) (limit int, reason string) {
	limit = int(f.Limit)
	last := s.last
	s.last = f
	_, finding := s.judge.See(f, m)
	w := diagnose.Between(last, f)
	if last.At.IsZero() || math.IsNaN(w.Limit) { // the limit has just changed
		return limit, ""
	}
	s.barred = max(0, s.barred-1)
	verdict := finding.Verdict
	if verdict == diagnose.Undetermined && w.IsCongested() {
		verdict = diagnose.TooSmall // a trial will show whether this is right
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

// judgeTrial adds window w to the trial. It returns why the trial failed, or "" if it has not
// failed.
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
	return fmt.Sprintf("%d slots served %.3g requests per second, and %d served %.3g", to, rate, t.from, t.before)
}
