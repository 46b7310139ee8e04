package diagnose

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// Advice is the limit that would suit a pool.
type Advice struct {
	Limit  int    // slots; 0 while it is not clear what would suit
	Reason string // one line, for a person
}

// Advisor says again and again which limit suits one pool: as many slots as keep waits within a
// tenth of a use at the rate of the requests, but no more than the CPUs, or the lock that the tasks
// share, can use (package sizing). It says so only in small steps, and only what several windows
// agree on. The zero Advisor has seen nothing. It is not safe for concurrent use.
type Advisor struct {
	// slots that windows needed at most, aPeak windows each, the newest first
	peaks  [remembered/aPeak + 1]int32
	newest uint8 // windows of the first of them
	seen   uint8 // windows so far, remembered at most
	short  uint8 // bits of the last windows: whether they needed more than there were; the newest is 1
}

const (
	remembered = 30   // windows for whose peak a pool keeps its slots, at least
	aPeak      = 15   // windows that have one peak
	largest    = 2.0  // step up at once, as a factor
	smallest   = 0.75 // step down at once
	band       = 0.7  // share of the limit that has to be enough before fewer slots are advised
)

// See takes a window, and the verdict on it. A pool gets no advice in a window that its requests
// did not decide: it failed, leaked, was held up by a large request or by the machine, or nothing
// is known of it.
func (a *Advisor) See(w Window, m Machine, v Verdict) Advice {
	if !v.isOfSize() {
		return Advice{Reason: "the pool is " + v.String()}
	}
	if h := Host(m, math.NaN()); h.Verdict == Throttled || h.Verdict == MemoryPressure || h.Verdict == Steal {
		return Advice{Reason: h.Evidence}
	}
	need, why, err := w.need(m)
	if err != nil {
		return Advice{Reason: err.Error()}
	}
	a.remember(need, float64(need) > w.Limit && (w.IsCongested() || float64(need) > w.Limit*1.2))
	return a.step(int(w.Limit), need, why)
}

// isOfSize reports whether a pool with the verdict is served as its size allows.
func (v Verdict) isOfSize() bool {
	switch v {
	case OK, TooSmall, Oversized, CPUSaturated, LockContention:
		return true
	}
	return false
}

// remember takes note of what a window needed, and whether that is more than there was.
func (a *Advisor) remember(need int, short bool) {
	if a.newest == aPeak {
		copy(a.peaks[1:], a.peaks[:])
		a.peaks[0], a.newest = 0, 0
	}
	a.peaks[0] = max(a.peaks[0], int32(min(need, math.MaxInt32)))
	a.short <<= 1
	if short {
		a.short |= 1
	}
	a.newest, a.seen = a.newest+1, min(a.seen+1, remembered)
}

// step returns the next limit on the way from limit to what is needed.
func (a *Advisor) step(limit, need int, why string) Advice {
	peak := int(slices.Max(a.peaks[:]))
	switch {
	case a.short&1 != 0 && (a.short&6 != 0 || float64(need) >= largest*float64(limit)):
		return Advice{min(need, int(math.Ceil(largest*float64(limit)))), why}
	case a.seen == remembered && float64(peak) < band*float64(limit):
		return Advice{
			max(peak, int(smallest*float64(limit)), 1),
			fmt.Sprintf("at most %d were needed lately: %s", peak, why),
		}
	}
	return Advice{limit, why}
}

// need returns how many slots would have done for the requests of a window.
func (w Window) need(m Machine) (slots int, why string, err error) {
	use := w.meanUse()
	refused := w.Refused
	if math.IsNaN(refused) { // by a pool that never refuses
		refused = 0
	}
	switch {
	case math.IsNaN(w.Limit) || math.IsNaN(use):
		return 0, "", errors.New("the limit is not known, or how long uses take")
	case refused == 1:
		return 0, "", errors.New("all requests were refused")
	case !(w.Ended >= enough):
		return 0, "", fmt.Errorf("%.0f uses ended, too few to tell", w.Ended)
	}
	load := sizing.Load{
		Rate: w.Served/(1-refused) + w.Grown/w.Seconds, Service: inSeconds(use), CV: 1,
	}
	slots, err = load.Slots(sizing.AcceptableWait)
	if err != nil {
		return 0, "", err
	}
	why = fmt.Sprintf("%d would do for %.3g requests a second of %v", slots, load.Rate, seconds(use))
	if bound, ok := w.bound(m, use); ok && bound < slots {
		return bound, fmt.Sprintf("%d use all that the tasks share", bound), nil
	}
	return slots, why, nil
}

// bound returns how many slots the CPUs, or the lock, that the tasks share can use, if that is
// known.
func (w Window) bound(m Machine, use float64) (slots int, ok bool) {
	if math.IsNaN(w.OnCPU) || math.IsNaN(m.CPUs) {
		return 0, false
	}
	used := w.Utilization * w.Limit
	o := sizing.Observation{
		Used: used, Rate: w.Ended / w.Seconds,
		Wall: inSeconds(use), CPU: inSeconds(w.OnCPU * use), RunDelay: inSeconds(w.RunQueue * use), CPUs: m.CPUs,
	}
	if !math.IsNaN(m.LockWait) {
		o.LockWait = inSeconds(m.LockWait * use)
	}
	if others := m.BusyCPUs - w.OnCPU*used; others > 0 {
		o.CPUs = math.Max(m.CPUs-others, m.CPUs/10)
	}
	demand, err := o.Demand()
	if err != nil {
		return 0, false
	}
	slots, err = demand.Slots()
	return slots, err == nil
}

// meanUse returns the mean duration of a use. Of a pool that does not time its uses it is the
// slot-seconds for each that ended, by Little's law: too much while uses do not end.
func (w Window) meanUse() float64 {
	if math.IsNaN(w.Use) {
		return w.Utilization * w.Limit * w.Seconds / w.Ended
	}
	return w.Use
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
