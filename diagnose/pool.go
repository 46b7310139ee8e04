package diagnose

import (
	"fmt"
	"math"
	"time"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// Usual describes the uses of a pool while it is well, and the slots that it has lost since.
// Unknown values are NaN.
type Usual struct {
	Use     float64 // mean duration in seconds
	Blocked float64 // of that, time neither on a CPU nor ready to run
	// minimum number of slots held by uses that never end because they run all the time
	Held    float64
	HeldFor float64 // seconds, up to the end of this window, for which more slots than those have been held
	Lost    float64 // slots that a leak held in the previous window
}

func unknownUsual() Usual {
	unknown := math.NaN()
	return Usual{unknown, unknown, unknown, unknown, unknown}
}

const (
	full    = 0.85 // utilization above which requests must expect to wait
	enough  = 5    // minimum number of ended uses for their mean to be meaningful
	noticed = 0.01 // seconds of waiting that callers notice
	longAgo = 10   // multiple of the mean use after which a use should have ended
	uneven  = 3    // ratio of the wait to that with random arrivals, if the squared cv of uses is 5
)

// Pool judges a pool over one window. The rules are applied in order of cause: uses that fail or
// never end affect everything after them, and so does a shortage of CPU.
func Pool(w Window, m Machine, usual Usual) Finding[Verdict] {
	switch {
	case math.IsNaN(w.Limit) || math.IsNaN(w.Utilization):
		return found(Undetermined, "the limit is unknown or has changed, or the pool is new")
	case w.Ended >= enough && w.Failed > 0.5:
		return found(Failing, "%.0f %% of %.0f uses failed", 100*w.Failed, w.Ended)
	case w.NotMade >= enough && w.NotMade > w.Ended:
		return found(Failing, "%.0f resources could not be created, and %.0f uses ended", w.NotMade, w.Ended)
	case w.isHeadOfLine():
		return found(
			HeadOfLine,
			"%.0f %% of %.0f slots were free while requests waited, %v each: the first request needed more",
			100*w.HeldBack,
			w.Limit,
			seconds(w.Wait),
		)
	case w.isLeaking(usual):
		return found(Leaking, "%.1f of %.0f slots are held by uses that do not end%s; %s",
			w.Held, w.Limit, w.oldest(), w.ends())
	case !w.IsCongested():
		return w.idle()
	}
	return w.congested(m, usual)
}

// IsCongested reports whether requests wait, or are refused, because the slots are used. Short
// congestion in a pool that mostly has free slots does not count.
func (w Window) IsCongested() bool {
	return w.Utilization > full && (w.waits(0.1) && !w.isBursty() || w.Pending >= 1 && w.Ended < enough)
}

// isBursty reports whether requests waited much longer than randomly arriving requests would at the
// same utilization. They arrived faster than the slots could serve them for part of the window, and
// all of them were served in the rest of it. More slots would shorten their waits, but would not
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
	steady := waiting / (w.Limit * (1 - busy)) // in uses
	return w.Wait > uneven*steady*w.meanUse()
}

// isHeadOfLine reports whether many slots are free while requests wait. In a full pool a few slots
// are free at any time if requests take several.
func (w Window) isHeadOfLine() bool {
	many := w.HeldBack > 0.1 || w.HeldBack > 0.04 && w.Utilization < 0.8
	return many && (w.waits(0.1) || w.Ended < enough)
}

// isLeaking reports whether uses that do not end hold more slots than usual, for longer than any
// ended use took, while other uses take as long as ever. If no use ends, a pool may just as well be
// waiting for something that its uses call, unless slots had leaked before: those do not come back.
func (w Window) isLeaking(usual Usual) bool {
	longest := w.Longest
	if math.IsNaN(longest) {
		longest = longAgo * w.Use
	}
	if !w.holds(usual.Held) || w.UseAge <= longest {
		return false
	}
	return w.Held > 0.9*usual.Lost || w.Ended >= enough && w.Use < 2*usual.Use && usual.HeldFor-w.Seconds > longest
}

// holds reports whether uses that do not end hold at least a tenth of the slots, and at least one
// slot, beyond the usual number.
func (w Window) holds(usual float64) bool {
	return w.Held-usual >= math.Max(0.8, 0.1*w.Limit)
}

// oldest describes the age of the oldest use, if that is known.
func (w Window) oldest() string {
	if math.IsNaN(w.UseAge) {
		return ""
	}
	return fmt.Sprintf(", the oldest for %v", seconds(w.UseAge))
}

// ends describes the uses that do end.
func (w Window) ends() string {
	if w.Ended < enough {
		return "hardly any others ended"
	}
	return fmt.Sprintf("the %.0f others took %v each", w.Ended, seconds(w.Use))
}

// waits reports whether requests are refused, or wait for longer than the fraction part of a use.
func (w Window) waits(part float64) bool {
	long := w.Wait > part*w.Use || math.IsNaN(w.Use) && w.Wait > noticed
	return long || w.Refused > 0.01
}

// idle judges a pool that has free slots for most of the time.
func (w Window) idle() Finding[Verdict] {
	switch {
	case w.waits(0.5): // random arrivals make some requests wait
		return found(Undetermined, "%s: in bursts, or for several slots at once", w.fill())
	case w.Limit >= 8 && w.Utilization < 0.1 && w.Ended >= enough:
		return found(Oversized, "%.1f of %.0f slots were used", w.Utilization*w.Limit, w.Limit)
	}
	return found(
		OK,
		"%.0f %% of %.0f slots were used, and requests waited %v",
		100*w.Utilization,
		w.Limit,
		seconds(w.Wait),
	)
}

// spent describes how the uses of a window spent their time.
type spent struct {
	account bool    // reported by the pool; otherwise bounded by what the whole process did
	cpus    float64 // an upper bound if there is no account
	queued  float64 // share of the time without a CPU; an upper bound if there is no account
	blocked float64 // share of the time; a lower bound if there is no account
}

func (w Window) spent(m Machine) spent {
	used := w.Utilization * w.Limit
	inGo := m.Runnable * m.CPUs / used // which a pool counts as blocked
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

// congested says why the uses of a full pool take as long as they do.
func (w Window) congested(m Machine, usual Usual) Finding[Verdict] {
	s := w.spent(m)
	share := 0.75
	if !s.account {
		share = 0.85
	}
	switch {
	case w.Ended < enough:
		return found(Undetermined, "%s, and only %.0f uses ended: they hang, or take this long", w.fill(), w.Ended)
	case w.holds(math.Max(0, usual.Held)), w.holds(0) && math.IsNaN(usual.Held):
		return found(
			Undetermined,
			"%s, and %.1f are held by uses that did not end: they may have leaked, or take this long",
			w.fill(),
			w.Held,
		)
	case s.cpus > share*m.CPUs ||
		s.account && w.OnCPU+w.RunQueue > 0.75 && m.BusyCPUs > 0.85*m.CPUs && s.cpus > 0.5*m.CPUs:
		return found(CPUSaturated, "%s; %s used %.1f of %.1f CPUs", w.fill(), s.whose(), s.cpus, m.CPUs)
	case s.queued > 0.2 && s.cpus < 0.75*m.CPUs, m.Runnable > 3 && s.cpus < 0.5*m.CPUs:
		return found(Starved, "%s; %s waited for a CPU %.0f %% of their time and used %.1f of %.1f CPUs",
			w.fill(), s.whose(), 100*s.queued, s.cpus, m.CPUs)
	case m.LockWait > 0.3*w.Utilization*w.Limit && !(w.Blocked < 0.3):
		return found(LockContention, "%s; %.1f goroutines waited for locks", w.fill(), m.LockWait)
	case s.isLonger(w, usual):
		return found(DownstreamSlow, "%s; uses were blocked for %v each, and usually take %v",
			w.fill(), seconds(s.blocked*w.Use), seconds(usual.Use))
	case w.Use > 2*usual.Use:
		return found(Undetermined, "%s; uses take %v instead of %v, for an unknown reason",
			w.fill(), seconds(w.Use), seconds(usual.Use))
	case s.queued > 0.1, !s.account && !(w.Use < 1.5*usual.Use):
		return found(Undetermined, "%s, and it is unknown how its uses spend their time", w.fill())
	}
	return found(TooSmall, "%s; uses take no longer than usual%s", w.fill(), s.words(w))
}

// isLonger reports whether uses are blocked for longer than usual. Without an account, it reports
// whether nothing else that they may have done explains their duration.
func (s spent) isLonger(w Window, usual Usual) bool {
	if s.account {
		return s.blocked*w.Use > 2*usual.Blocked && s.blocked > 0.5
	}
	return w.Use > 2*usual.Use && (1-s.blocked)*w.Use < usual.Use
}

// whose returns the subject of a sentence about the known CPU time.
func (s spent) whose() string {
	if s.account {
		return "its tasks"
	}
	return "the process's threads"
}

// words describes the CPU time of uses.
func (s spent) words(w Window) string {
	if s.account {
		return fmt.Sprintf(", and %.0f %% of their time is on a CPU", 100*w.OnCPU)
	}
	return ""
}

// fill describes how full the pool is.
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

// seconds formats a time with up to three digits.
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
