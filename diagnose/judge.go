package diagnose

import (
	"iter"
	"math"
	"time"
)

// Judge judges one pool, window by window. A verdict takes hold when two of the last three windows
// agree on it, and holds until three windows in a row disagree. An undetermined window does not
// count as disagreement. The zero Judge is ready to use. A Judge is not safe for concurrent use.
type Judge struct {
	last   Figures
	usual  Usual
	memory memory[Verdict]

	advisor        Advisor
	recommended    int32
	healthyWindows uint8 // number of windows from which usual was learned, counted up to learnAfter
}

// maxRecommended is the highest limit that a Judge recommends. The slots of larger pools are bytes
// or similar units, which queueing theory does not describe.
const maxRecommended = 1_000_000

const (
	learnAfter = 3   // number of windows after which Usual is known
	newWeight  = 0.2 // weight of a new window in Usual
)

// See judges the window since the last call. f holds the pool's current measurements, and m
// describes the machine over the window. See returns the verdict that holds now, and the verdict on
// the window alone.
func (j *Judge) See(f Figures, m Machine) (holds, window Finding[Verdict]) {
	if j.last.At.IsZero() {
		j.last, j.usual = f, unknownUsual()
		first := j.memory.hold(found(Undetermined, "the pool has been measured only once"))
		return first, first
	}
	w := Between(j.last, f)
	j.last = f
	if math.IsNaN(w.Seconds) { // the pool was restarted
		j.usual.Lost = math.NaN()
	}
	if w.holdsMoreThan(j.usual.Held) {
		j.usual.HeldFor += w.Seconds
	} else {
		j.usual.HeldFor = 0
	}
	window = Pool(w, m, j.known())
	j.learn(w, window.Verdict)
	holds = j.memory.weigh(window)
	decisive := window.Verdict
	if holds.Verdict.Convicts() && !holds.Verdict.concernsSize() {
		decisive = holds.Verdict
	}
	j.recommended = 0
	if limit := j.advisor.See(w, m, decisive).Limit; limit > 0 && limit <= maxRecommended {
		j.recommended = int32(limit)
	}
	return holds, window
}

// Recommends returns the limit that an [Advisor] recommends based on the windows seen so far, or 0
// if it recommends none. It never recommends a limit while the current verdict, or the last
// window's verdict, concerns something other than the pool's size.
func (j *Judge) Recommends() int { return int(j.recommended) }

// Seen returns the time of the last measurement, or the zero Time if there is none.
func (j *Judge) Seen() time.Time { return j.last.At }

// Holds returns the verdict that holds, with its evidence.
func (j *Judge) Holds() Finding[Verdict] { return j.memory.holds() }

// known returns the usual values of the pool, which are all unknown until enough healthy windows
// have been seen.
func (j *Judge) known() Usual {
	if j.healthyWindows < learnAfter {
		return unknownUsual()
	}
	return j.usual
}

// learn updates j.usual from window w, whose verdict is v. If the pool was healthy, it updates the
// usual values; if slots leaked, it updates the number of lost slots.
func (j *Judge) learn(w Window, v Verdict) {
	switch v {
	case Leaking:
		j.usual.Lost = w.Held
	case OK, Oversized:
		j.usual.Lost = math.NaN()
		if w.Ended < enough {
			return
		}
		j.healthyWindows = min(j.healthyWindows+1, learnAfter)
		j.usual.Use = blend(j.usual.Use, w.Use)
		j.usual.Blocked = blend(j.usual.Blocked, w.Blocked*w.Use)
		if held := math.Max(0, w.Held); !(held >= j.usual.Held) {
			j.usual.Held = held
		}
	}
}

// blend adds v to an exponentially weighted mean and returns the new mean. It ignores an unknown v.
func blend(mean, v float64) float64 {
	switch {
	case math.IsNaN(v):
		return mean
	case math.IsNaN(mean):
		return v
	}
	return mean + newWeight*(v-mean)
}

// HostJudge judges one machine, window by window, in the same way as [Judge]. The zero HostJudge is
// ready to use. A HostJudge is not safe for concurrent use.
type HostJudge struct {
	last    HostFigures
	machine Machine
	write   float64 // usual duration of a disk probe's write
	writes  uint8   // number of windows from which write was learned, counted up to learnAfter
	memory  memory[HostVerdict]
}

// See judges the window since the last call. f holds the machine's current measurements. See
// returns the verdict that holds now, and the verdict on the window alone.
func (j *HostJudge) See(f HostFigures) (holds, window Finding[HostVerdict]) {
	if j.last.At.IsZero() {
		j.last, j.machine, j.write = f, UnknownMachine(), math.NaN()
		first := j.memory.hold(host(HostUndetermined, "the machine has been measured only once"))
		return first, first
	}
	j.machine = HostBetween(j.last, f)
	j.last = f
	usual := math.NaN()
	if j.writes >= learnAfter {
		usual = j.write
	}
	window = Host(j.machine, usual)
	if window.Verdict == HostOK && !math.IsNaN(j.machine.Write) {
		j.writes = min(j.writes+1, learnAfter)
		j.write = blend(j.write, j.machine.Write)
	}
	return j.memory.weigh(window), window
}

// Seen returns the time of the last measurement, or the zero Time if there is none.
func (j *HostJudge) Seen() time.Time { return j.last.At }

// Holds returns the verdict that holds, with its evidence.
func (j *HostJudge) Holds() Finding[HostVerdict] { return j.memory.holds() }

// Machine returns the Machine for the last window.
func (j *HostJudge) Machine() Machine {
	if j.last.At.IsZero() {
		return UnknownMachine()
	}
	return j.machine
}

// States yields each verdict that has held so far, and whether it holds now. A metric can report
// each verdict as 1 or 0.
func (j *Judge) States() iter.Seq2[Verdict, bool] { return j.memory.states() }

// States yields each verdict that has held so far, and whether it holds now. A metric can report
// each verdict as 1 or 0.
func (j *HostJudge) States() iter.Seq2[HostVerdict, bool] { return j.memory.states() }

// memory decides, from the verdicts on recent windows, which verdict holds.
type memory[V verdict] struct {
	evidence string // evidence for the verdict that holds
	held     uint16 // one bit per verdict: whether it has ever held
	against  uint8  // number of consecutive windows that disagreed with verdict
	verdict  V      // the verdict that holds
	recent   [3]V
}

func (h *memory[V]) holds() Finding[V] { return Finding[V]{h.verdict, h.evidence} }

// hold makes f's verdict the one that holds, and returns f.
func (h *memory[V]) hold(f Finding[V]) Finding[V] {
	h.against, h.verdict, h.evidence = 0, f.Verdict, f.Evidence
	return f
}

// weigh adds the finding for a new window, and returns the finding that holds after it.
func (h *memory[V]) weigh(window Finding[V]) Finding[V] {
	h.held |= 1 << h.verdict
	h.recent[2], h.recent[1], h.recent[0] = h.recent[1], h.recent[0], window.Verdict
	var undetermined V
	switch v := window.Verdict; {
	case v == h.verdict:
		return h.hold(window)
	case v == undetermined && h.verdict.Convicts():
	case v == h.recent[1] || v == h.recent[2]:
		if h.against++; !h.verdict.Convicts() || v.Convicts() || h.against >= 3 {
			return h.hold(window)
		}
	default:
		h.against++
	}
	return h.holds()
}

func (h *memory[V]) states() iter.Seq2[V, bool] {
	return func(yield func(V, bool) bool) {
		for v := range V(16) {
			now := v == h.verdict
			if (now || h.held&(1<<v) != 0) && !yield(v, now) {
				return
			}
		}
	}
}
