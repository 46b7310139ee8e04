package autosize

import (
	"fmt"
	"math"

	"github.com/poolgauge/poolgauge/diagnose"
)

// sizer decides on one pool's limit.
type sizer struct {
	min, max  int
	last      diagnose.Figures
	judge     diagnose.Judge
	advisor   diagnose.Advisor
	trial     trial
	ceiling   int // limit above which more slots did not help; valid while pauseLeft > 0
	pauseLeft int // number of windows for which ceiling still applies
	pause     int // length of the last pause, in windows; doubles with each trial that fails in a row
}

// trial is a test of whether a higher limit helps. The zero trial means no trial.
type trial struct {
	from, to int
	before   float64 // uses ended per second with the old limit, from
	ended    float64 // uses that have ended since the trial started
	seconds  float64
	windows  int
}

const (
	// minimum throughput of the added slots, as a fraction of their proportional share
	minGain         = 0.25
	trialUses       = 100 // number of ended uses after which a trial is decided
	maxTrialWindows = 5   // number of windows after which a trial is decided even with fewer uses
	firstPause      = 10  // number of windows for which a limit that did not help is not tried again
	maxPause        = 160 // maximum length of later pauses, in windows
)

// next returns the new limit and the reason for the change, or the current limit if no change is
// needed. f holds the pool's current measurements, and m describes the machine since the last call.
func (s *sizer) next(f diagnose.Figures, m diagnose.Machine) (limit int, reason string) {
	limit = int(f.Limit)
	last := s.last
	s.last = f
	_, finding := s.judge.See(f, m)
	w := diagnose.Between(last, f)
	if last.At.IsZero() || math.IsNaN(w.Limit) { // the limit has just changed
		return limit, ""
	}
	s.pauseLeft = max(0, s.pauseLeft-1)
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
	if s.pauseLeft > 0 {
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
	if t.ended < trialUses && t.windows < maxTrialWindows {
		return ""
	}
	to := t.to
	t.to = 0
	rate := t.ended / t.seconds
	wanted := t.before * (1 + minGain*(float64(to)/float64(t.from)-1))
	if !w.IsCongested() || rate >= wanted {
		s.pause = 0
		return ""
	}
	s.pause = min(max(firstPause, 2*s.pause), maxPause)
	s.pauseLeft, s.ceiling = s.pause, t.from
	return fmt.Sprintf("%d slots served %.3g requests per second, and %d served %.3g", to, rate, t.from, t.before)
}
