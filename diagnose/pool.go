package diagnose

import (
	"fmt"
	"math"
	"time"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// Usual describes a pool's uses while the pool is healthy, and the slots that it has lost since.
// Unknown values are NaN.
type Usual struct {
	Use     float64 // mean duration of a use, in seconds
	Blocked float64 // mean time per use neither on a CPU nor ready to run, in seconds
	// minimum number of slots occupied by uses that are meant to run forever, such as permanent
	// workers
	Held    float64
	HeldFor float64 // seconds up to the window's end for which uses that do not end occupied more slots than Held
	Lost    float64 // slots that leaked uses occupied in the previous window
}

func unknownUsual() Usual {
	unknown := math.NaN()
	return Usual{unknown, unknown, unknown, unknown, unknown}
}

const (
	full    = 0.85 // utilization above which requests must expect to wait
	enough  = 5    // minimum number of ended uses for their mean to be meaningful
	noticed = 0.01 // seconds above which callers notice a wait
	longAgo = 10   // multiple of the mean use after which a use should have ended
	uneven  = 3    // multiple of the wait for random arrivals above which load is bursty; allows for uses with cv² = 5
)

// Pool judges a pool over window w. The first rule that holds decides. Rules for causes come first:
// uses that fail or never end, or a shortage of CPU time, also produce the symptoms that later
// rules look for.
func Pool(w Window, m Machine, usual Usual) Finding[Verdict] {
	switch {
	case math.IsNaN(w.Limit) || math.IsNaN(w.Utilization):
		return found(Undetermined, "the limit is unknown or has changed, or the pool is new")
	case w.Ended >= enough && w.Failed > 0.5:
		return found(Failing, "%.0f%% of %.0f uses failed", 100*w.Failed, w.Ended)
	case w.NotMade >= enough && w.NotMade > w.Ended:
		return found(Failing, "%.0f resources could not be created, and %.0f uses ended", w.NotMade, w.Ended)
	case w.isHeadOfLine():
		return found(
			HeadOfLine,
			"%.0f%% of %.0f slots were free while requests waited %v on average: the first request needed more",
			100*w.HeldBack,
			w.Limit,
			seconds(w.Wait),
		)
	case w.isLeaking(usual):
		return found(Leaking, "%.1f of %.0f slots are held by uses that do not end%s; %s",
			w.Held, w.Limit, w.oldestPhrase(), w.endedPhrase())
	case !w.IsCongested():
		return w.idle()
	}
	return w.congested(m, usual)
}

// IsCongested reports whether requests wait, or are refused, because all slots are in use. Short
// congestion in a pool that mostly has free slots does not count.
func (w Window) IsCongested() bool {
	return w.Utilization > full && (w.waits(0.1) && !w.isBursty() || w.Pending >= 1 && w.Ended < enough)
}

// isBursty reports whether requests waited much longer than randomly arriving requests would at the
// same utilization. In such a window, requests arrived in bursts faster than the slots could serve
// them, but all of them were served by its end. More slots would shorten their waits, but would not
// serve more requests.
func (w Window) isBursty() bool {
	busy := w.Utilization
	if w.HeldBack > 0 { // slots that were not available to the request that waited
		busy += w.HeldBack
	}
	waiting, err := sizing.ErlangC(int(w.Limit), busy*w.Limit)
	if err != nil || w.Ended < enough {
		return false
	}
	steady := waiting / (w.Limit * (1 - busy)) // expected wait for random arrivals, in units of a mean use
	return w.Wait > uneven*steady*w.meanUse()
}

// isHeadOfLine reports whether many slots are free while requests wait. A few free slots are normal
// in a full pool whose requests take several slots each.
func (w Window) isHeadOfLine() bool {
	many := w.HeldBack > 0.1 || w.HeldBack > 0.04 && w.Utilization < 0.8
	return many && (w.waits(0.1) || w.Ended < enough)
}

// isLeaking reports whether uses that do not end occupy more slots than usual, and have lasted
// longer than any ended use, while other uses take as long as before. If no use ends at all, the
// uses may just as well be waiting for a downstream service. In that case, isLeaking returns true
// only if slots had leaked before, since leaked slots are not returned.
func (w Window) isLeaking(usual Usual) bool {
	longest := w.Longest
	if math.IsNaN(longest) {
		longest = longAgo * w.Use
	}
	if !w.holdsMoreThan(usual.Held) || w.UseAge <= longest {
		return false
	}
	return w.Held > 0.9*usual.Lost || w.Ended >= enough && w.Use < 2*usual.Use && usual.HeldFor-w.Seconds > longest
}

// holdsMoreThan reports whether uses that do not end occupy clearly more slots than usual: about
// one more, and at least a tenth of the limit more.
func (w Window) holdsMoreThan(usual float64) bool {
	return w.Held-usual >= math.Max(0.8, 0.1*w.Limit)
}

// isDraining reports whether the backlog shrank by more than random arrivals explain. The pool then
// serves more requests than arrive: it is full because requests have waited since it was slower, or
// since more of them arrived.
func (w Window) isDraining() bool {
	served := w.Served * w.Seconds
	return -w.Grown > math.Max(0.05*served, 2*math.Sqrt(served)) && !(w.Refused > 0.01)
}

// oldestPhrase describes the age of the oldest use, or returns "" if it is unknown.
func (w Window) oldestPhrase() string {
	if math.IsNaN(w.UseAge) {
		return ""
	}
	return fmt.Sprintf(", the oldest for %v", seconds(w.UseAge))
}

// endedPhrase describes the uses that ended.
func (w Window) endedPhrase() string {
	if w.Ended < enough {
		return "hardly any other uses ended"
	}
	return fmt.Sprintf("the %.0f other uses took %v each", w.Ended, seconds(w.Use))
}

// waits reports whether requests are refused, or wait on average for longer than the given fraction
// of the mean use.
func (w Window) waits(fraction float64) bool {
	long := w.Wait > fraction*w.Use || math.IsNaN(w.Use) && w.Wait > noticed
	return long || w.Refused > 0.01
}

// idle judges a pool that has free slots most of the time.
func (w Window) idle() Finding[Verdict] {
	switch {
	case w.waits(0.5): // random arrivals alone make some requests wait
		return found(Undetermined, "%s: requests come in bursts, or take several slots at once", w.fillPhrase())
	case w.Limit >= 8 && w.Utilization < 0.1 && w.Ended >= enough:
		return found(Oversized, "%.1f of %.0f slots were used", w.Utilization*w.Limit, w.Limit)
	}
	return found(
		OK,
		"%.0f%% of %.0f slots were used, and requests waited %v",
		100*w.Utilization,
		w.Limit,
		seconds(w.Wait),
	)
}

// spent describes how a window's uses spent their time.
type spent struct {
	reported bool    // whether the pool reports the values; if not, they are bounds derived from the whole process
	cpus     float64 // CPUs used; an upper bound if reported is false
	queued   float64 // share of the time ready but without a CPU; an upper bound if reported is false
	blocked  float64 // share of the time blocked; a lower bound if reported is false
}

// runnable returns the number of goroutines that are ready but without a CPU, divided by CPUs. The
// number is measured only once, at the end of the window, when the program's timers may just have
// made several goroutines ready together. So runnable returns 0 if the process's threads ran, or
// waited to run, for less than half of the CPUs' time: a processor was then idle most of the time,
// and ran these goroutines immediately.
func (m Machine) runnable() float64 {
	if m.BusyCPUs*(1+m.RunDelay) < 0.5*m.CPUs {
		return 0
	}
	return m.Runnable
}

func (w Window) spent(m Machine) spent {
	used := w.Utilization * w.Limit
	inGo := m.runnable() * m.CPUs / used // share of the uses' time in Go's run queues, which pools count as blocked
	if math.IsNaN(w.OnCPU) {
		cpu, queue := m.BusyCPUs/used, m.RunDelay*m.BusyCPUs/used+inGo
		return spent{false, m.BusyCPUs, queue, 1 - cpu - queue - m.LockWait/used}
	}
	s := spent{true, w.OnCPU * used, w.RunQueue, w.Blocked}
	if inGo > 0 {
		s.blocked = math.Max(0, s.blocked-inGo)
	}
	return s
}

// congested judges a full pool by how its uses spend their time.
func (w Window) congested(m Machine, usual Usual) Finding[Verdict] {
	s := w.spent(m)
	share := 0.75
	if !s.reported {
		share = 0.85
	}
	switch {
	case w.Ended < enough:
		return found(
			Undetermined,
			"%s, and only %.0f uses ended: the others are hung, or take this long",
			w.fillPhrase(),
			w.Ended,
		)
	case w.holdsMoreThan(math.Max(0, usual.Held)), w.holdsMoreThan(0) && math.IsNaN(usual.Held):
		return found(
			Undetermined,
			"%s, and uses that did not end hold %.1f slots: they may have leaked, or take this long",
			w.fillPhrase(),
			w.Held,
		)
	case s.cpus > share*m.CPUs ||
		s.reported && w.OnCPU+w.RunQueue > 0.75 && m.BusyCPUs > 0.85*m.CPUs && s.cpus > 0.5*m.CPUs:
		return found(CPUSaturated, "%s; %s used %.1f of %.1f CPUs", w.fillPhrase(), s.subject(), s.cpus, m.CPUs)
	case s.queued > 0.2 && s.cpus < 0.75*m.CPUs, m.runnable() > 3 && s.cpus < 0.5*m.CPUs:
		return found(Starved, "%s; %s waited for a CPU %.0f%% of their time and used %.1f of %.1f CPUs",
			w.fillPhrase(), s.subject(), 100*s.queued, s.cpus, m.CPUs)
	case m.LockWait > 0.3*w.Utilization*w.Limit && !(w.Blocked < 0.3):
		return found(LockContention, "%s; %.1f goroutines waited for locks", w.fillPhrase(), m.LockWait)
	case s.isBlockedLonger(w, usual):
		return found(DownstreamSlow, "%s; each use was blocked for %v, and a use usually takes %v",
			w.fillPhrase(), seconds(s.blocked*w.Use), seconds(usual.Use))
	case w.Use > 2*usual.Use:
		return found(Undetermined, "%s; uses take %v instead of %v, for an unknown reason",
			w.fillPhrase(), seconds(w.Use), seconds(usual.Use))
	case w.isDraining():
		return found(Undetermined, "%s; more requests were served than arrived, and %.0f fewer wait than before",
			w.fillPhrase(), -w.Grown)
	case s.queued > 0.1, !s.reported && !(w.Use < 1.5*usual.Use):
		return found(Undetermined, "%s, and it is unknown how its uses spend their time", w.fillPhrase())
	}
	return found(TooSmall, "%s; uses take no longer than usual%s", w.fillPhrase(), s.cpuPhrase(w))
}

// isBlockedLonger reports whether uses are blocked for longer than usual. If s.reported is false,
// it reports whether CPU time and waits for CPUs and locks cannot explain why uses take longer.
func (s spent) isBlockedLonger(w Window, usual Usual) bool {
	if s.reported {
		return s.blocked*w.Use > 2*usual.Blocked && s.blocked > 0.5
	}
	return w.Use > 2*usual.Use && (1-s.blocked)*w.Use < usual.Use
}

// subject returns the subject of a sentence about s.cpus.
func (s spent) subject() string {
	if s.reported {
		return "its tasks"
	}
	return "the process's threads"
}

// cpuPhrase describes how much of their time uses are on a CPU, or returns "" if that is unknown.
func (s spent) cpuPhrase(w Window) string {
	if s.reported {
		return fmt.Sprintf(", and %.0f%% of their time is on a CPU", 100*w.OnCPU)
	}
	return ""
}

// fillPhrase describes how full the pool is, and how long requests wait.
func (w Window) fillPhrase() string {
	s := fmt.Sprintf("%.0f%% of %.0f slots were used, requests waited %v",
		100*w.Utilization, w.Limit, seconds(w.Wait))
	if !math.IsNaN(w.Use) {
		s += fmt.Sprintf(", uses took %v", seconds(w.Use))
	}
	if w.Refused > 0.01 {
		s += fmt.Sprintf("; %.0f%% were refused", 100*w.Refused)
	}
	return s
}

func found(v Verdict, format string, args ...any) Finding[Verdict] {
	return Finding[Verdict]{v, fmt.Sprintf(format, args...)}
}

// seconds formats s seconds as a duration with up to three digits.
func seconds(s float64) string {
	if math.IsNaN(s) {
		return "an unknown time"
	}
	const longest = 290 * 365 * 24 * 3600 // about as long as a time.Duration can be
	d := time.Duration(min(s, longest) * float64(time.Second))
	for unit := time.Second; unit >= time.Microsecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
	}
	return d.String()
}
