package diagnose

import (
	"fmt"
	"math"
	"time"
)

// Usual is what the uses of a pool look like while it is well. What is not known is NaN.
type Usual struct {
	Use     float64 // mean duration in seconds
	Blocked float64 // of that, neither on a CPU nor ready to run
}

const (
	full    = 0.85 // utilization from which requests have to expect waits
	enough  = 5    // uses that have to end for their mean to mean something
	noticed = 0.01 // seconds of waiting that anybody would notice
	longAgo = 10   // how many uses long a window is in which a use that began before it should have ended
)

// Pool judges a pool over one window. The order of the rules is that of what explains what: uses that
// fail or never end change everything after them, and so does a shortage of CPU.
func Pool(w Window, m Machine, usual Usual) Finding[Verdict] {
	switch {
	case math.IsNaN(w.Limit) || math.IsNaN(w.Utilization):
		return found(Undetermined, "the limit is not known, or has changed, or the pool is new")
	case w.Ended >= enough && w.Failed > 0.5:
		return found(Failing, "%.0f %% of %.0f uses failed", 100*w.Failed, w.Ended)
	case w.NotMade >= enough && w.NotMade > w.Ended:
		return found(Failing, "%.0f resources could not be made, and %.0f uses ended", w.NotMade, w.Ended)
	case w.isHeadOfLine():
		return found(HeadOfLine, "%.0f requests wait, the first for %v, although %.0f of %.0f slots are free",
			w.Pending, seconds(w.PendingAge), w.Free, w.Limit)
	case w.isLeaking(usual):
		return found(Leaking, "%.1f of %.0f slots are held by uses that do not end; %s",
			w.Held, w.Limit, w.ends())
	case !w.IsCongested():
		return w.idle()
	}
	return w.congested(m, usual)
}

// IsCongested reports whether requests wait, or are refused, because the slots are used.
func (w Window) IsCongested() bool {
	return w.Utilization > full && (w.waits(0.1) || w.Pending >= 1 && w.Ended < enough)
}

// isHeadOfLine reports whether requests wait although there are free slots: the first wants more of them.
func (w Window) isHeadOfLine() bool {
	return w.Pending >= 1 && w.Free >= 1 && w.PendingAge > noticed
}

// isLeaking reports whether many slots are held by uses that do not end, while others take as long as
// ever. Without that, a pool whose uses all hang may as well wait for what it calls.
func (w Window) isLeaking(usual Usual) bool {
	return w.Ended >= enough && w.Seconds > longAgo*w.Use && w.Use < 2*usual.Use &&
		w.Held >= math.Max(0.8, 0.1*w.Limit)
}

// ends says how uses go that do end.
func (w Window) ends() string {
	return fmt.Sprintf("the %.0f others took %v each", w.Ended, seconds(w.Use))
}

// waits reports whether requests wait for longer than a part of a use, or are refused.
func (w Window) waits(part float64) bool {
	long := w.Wait > part*w.Use || math.IsNaN(w.Use) && w.Wait > noticed
	return long || w.Refused > 0.01
}

// idle judges a pool that has free slots most of the time.
func (w Window) idle() Finding[Verdict] {
	switch {
	case w.waits(0.5): // random arrivals let some wait
		return found(Undetermined, "%s: in bursts, or for several slots at once", w.fill())
	case w.Limit >= 8 && w.Utilization < 0.1 && w.Ended >= enough:
		return found(Oversized, "%.1f of %.0f slots were used", w.Utilization*w.Limit, w.Limit)
	}
	return found(OK, "%.0f %% of %.0f slots were used, and requests waited %v", 100*w.Utilization, w.Limit, seconds(w.Wait))
}

// congested says why the slots of a pool that is full are used for as long as they are.
func (w Window) congested(m Machine, usual Usual) Finding[Verdict] {
	cpus := w.OnCPU * w.Utilization * w.Limit // that the pool used
	blocked := w.Blocked * w.Use
	switch {
	case w.Ended < enough:
		return found(Undetermined, "%s, and only %.0f uses ended: they hang, or take this long", w.fill(), w.Ended)
	case cpus > 0.75*m.CPUs || w.OnCPU+w.RunQueue > 0.75 && m.BusyCPUs > 0.85*m.CPUs && cpus > 0.5*m.CPUs:
		return found(CPUSaturated, "%s; its tasks used %.1f of %.1f CPUs", w.fill(), cpus, m.CPUs)
	case w.RunQueue > 0.2 && cpus < 0.75*m.CPUs, m.Runnable > 3 && cpus < 0.5*m.CPUs:
		return found(Starved, "%s; its tasks waited for a CPU %.0f %% of their time and used %.1f of %.1f CPUs",
			w.fill(), 100*w.RunQueue, cpus, m.CPUs)
	case m.LockWait > 0.3:
		return found(LockContention, "%s; goroutines waited %.2f s for locks for each second of use", w.fill(), m.LockWait)
	case blocked > 2*usual.Blocked && blocked > 0.5*w.Use:
		return found(DownstreamSlow, "%s; its tasks were blocked for %v each, and usually are for %v",
			w.fill(), seconds(blocked), seconds(usual.Blocked))
	case math.IsNaN(blocked) && w.Use > 2*usual.Use:
		return found(Undetermined, "%s; uses take %v instead of %v, and it is not known on what",
			w.fill(), seconds(w.Use), seconds(usual.Use))
	case w.Use > 2*usual.Use:
		return found(Undetermined, "%s; uses take %v instead of %v", w.fill(), seconds(w.Use), seconds(usual.Use))
	case math.IsNaN(w.OnCPU) && !(w.Use < 1.5*usual.Use):
		return found(Undetermined, "%s, and it is not known on what its uses spend their time", w.fill())
	}
	return found(TooSmall, "%s; uses take no longer than usual, and %.0f %% of their time is on a CPU",
		w.fill(), 100*w.OnCPU)
}

// fill says how full the pool is.
func (w Window) fill() string {
	s := fmt.Sprintf("%.0f %% of %.0f slots were used, and a request waited %v for a use of %v",
		100*w.Utilization, w.Limit, seconds(w.Wait), seconds(w.Use))
	if w.Refused > 0.01 {
		s += fmt.Sprintf("; %.0f %% were refused", 100*w.Refused)
	}
	return s
}

func found(v Verdict, format string, args ...any) Finding[Verdict] {
	return Finding[Verdict]{v, fmt.Sprintf(format, args...)}
}

// seconds prints a time with three digits at most.
func seconds(s float64) string {
	if math.IsNaN(s) {
		return "an unknown time"
	}
	d := time.Duration(s * float64(time.Second))
	for unit := time.Second; unit >= time.Microsecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
	}
	return d.String()
}
