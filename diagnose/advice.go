package diagnose

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// Advice is a recommended limit for a pool.
type Advice struct {
	Limit  int    // slots; 0 while no limit can be recommended
	Reason string // one-line explanation for human readers
}

// Advisor recommends a limit for one pool, window by window. The limit is high enough to keep the
// mean wait within a tenth of a mean use at the current rate of requests, but no higher than needed
// to saturate the CPUs or a lock that the tasks share; see package sizing. An Advisor recommends
// changes only in small steps, and only if several windows agree. The zero Advisor is ready to use.
// An Advisor is not safe for concurrent use.
type Advisor struct {
	// largest number of slots that a window needed, for each group of groupSize windows, newest
	// first
	peaks  [remembered/groupSize + 1]int32
	newest uint8 // number of windows in the newest group
	seen   uint8 // number of windows so far, at most remembered
	short  uint8 // one bit per window, the newest in bit 0: 1 if the pool was short of slots
}

const (
	remembered  = 30   // minimum number of windows after a peak before the limit is lowered
	groupSize   = 15   // number of windows in a group, for which one peak is kept
	maxStepUp   = 2.0  // largest step up, as a factor
	maxStepDown = 0.75 // largest step down, as a factor
	lowerBelow  = 0.7  // the limit is lowered only if less than this fraction of it is needed
)

// See returns the advice after the next window, w. m describes the machine over that window, and v
// is the verdict for it. See recommends no limit if nothing is known about the pool, or if
// something other than its size affected requests: for example, if uses failed or leaked, or if a
// large request or the machine held up the pool.
func (a *Advisor) See(w Window, m Machine, v Verdict) Advice {
	if !v.concernsSize() {
		return Advice{Reason: "no limit is recommended while the verdict is " + v.String()}
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

// concernsSize reports whether a limit may be recommended under v: nothing is wrong, or the size,
// the CPUs or a lock determine the throughput.
func (v Verdict) concernsSize() bool {
	switch v {
	case OK, TooSmall, Oversized, CPUSaturated, LockContention:
		return true
	}
	return false
}

// remember records how many slots a window needed, and whether the pool was short of slots.
func (a *Advisor) remember(need int, short bool) {
	if a.newest == groupSize {
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

// step returns the advice to keep limit, or to move it one step toward need, the number of slots
// that are needed. why explains why that number is enough.
func (a *Advisor) step(limit, need int, why string) Advice {
	peak := int(slices.Max(a.peaks[:]))
	switch {
	case a.short&1 != 0 && (a.short&6 != 0 || float64(need) >= maxStepUp*float64(limit)):
		return Advice{min(need, int(math.Ceil(maxStepUp*float64(limit)))), why}
	case a.seen == remembered && float64(peak) < lowerBelow*float64(limit):
		return Advice{
			max(peak, int(maxStepDown*float64(limit)), 1),
			fmt.Sprintf("at most %d slots were needed recently: %s", peak, why),
		}
	}
	return Advice{limit, why}
}

// need returns how many slots would have been enough for the window's requests, and why.
func (w Window) need(m Machine) (slots int, why string, err error) {
	use := w.meanUse()
	refused := w.Refused
	if math.IsNaN(refused) { // the pool does not refuse requests
		refused = 0
	}
	switch {
	case math.IsNaN(w.Limit) || math.IsNaN(use):
		return 0, "", errors.New("the limit or the duration of uses is unknown")
	case refused == 1:
		return 0, "", errors.New("all requests were refused")
	case !(w.Ended >= enough):
		return 0, "", fmt.Errorf("only %.0f uses of slots ended, too few to decide", w.Ended)
	}
	load := sizing.Load{
		Rate: w.Served/(1-refused) + w.Grown/w.Seconds, Service: duration(use), CV: 1,
	}
	slots, err = load.Slots(sizing.AcceptableWait)
	if err != nil {
		return 0, "", err
	}
	why = fmt.Sprintf("%d slots are enough for %.3g requests per second of %v each", slots, load.Rate, seconds(use))
	if bound, ok := w.bound(m, use); ok && bound < slots {
		return bound, fmt.Sprintf("%d slots saturate what the tasks share", bound), nil
	}
	return slots, why, nil
}

// bound returns how many slots saturate the CPUs or the lock that the tasks share. use is the mean
// duration of a use, in seconds. ok is false if the number is unknown.
func (w Window) bound(m Machine, use float64) (slots int, ok bool) {
	if math.IsNaN(w.OnCPU) || math.IsNaN(m.CPUs) {
		return 0, false
	}
	used := w.Utilization * w.Limit
	o := sizing.Observation{
		Used: used, Rate: w.Ended / w.Seconds,
		Wall: duration(use), CPU: duration(w.OnCPU * use), RunDelay: duration(w.RunQueue * use), CPUs: m.CPUs,
	}
	if !math.IsNaN(m.LockWait) {
		o.LockWait = duration(m.LockWait * use)
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

// meanUse returns the mean duration of a use in seconds. If the pool does not time its uses,
// meanUse estimates the mean by Little's law, as slot-seconds per ended use; the estimate is too
// high while uses do not end.
func (w Window) meanUse() float64 {
	if math.IsNaN(w.Use) {
		return w.Utilization * w.Limit * w.Seconds / w.Ended
	}
	return w.Use
}

func duration(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
