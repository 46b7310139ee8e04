package profile

import (
	"math"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

const (
	cpuBound      = 0.9                   // share of a task's own time on a CPU, at least
	ioBound       = 0.1                   // the same, at most
	tolerance     = 0.15                  // bounds of a share that are this close are averaged
	lockContended = 0.3                   // share of its own time waiting for mutexes, at least
	elsewhere     = 0.25                  // the same of goroutines that it started, running
	quick         = 10 * time.Microsecond // below, submitting a task costs more than 1 % of it
)

// figures decide the class. Times are totals over the calls.
type figures struct {
	calls      int
	processors int // that Go's scheduler has
	wall       time.Duration
	cpu        instrument.Optional[time.Duration] // of the thread
	queue      instrument.Optional[time.Duration] // of the thread: ready and without a CPU
	trace      *account                           // of the goroutine; nil if there is none
	traceErr   error                              // why not
	quota      *throttle.Stops                    // of the process; nil if it has none

	// Of the whole process, for when there is no trace.
	mutex   time.Duration                      // wait of goroutines for mutexes
	latency instrument.Optional[time.Duration] // mean wait for Go's scheduler
	sleeps  instrument.Optional[int64]         // how often the thread went to sleep
}

// span is a duration between two bounds.
type span struct{ low, high time.Duration }

func (s span) middle() time.Duration { return s.low + (s.high-s.low)/2 }

// own is the task's own time: the wall time without the wait for a CPU or for Go's scheduler.
type own struct {
	cpu, blocked span
}

// split bounds the task's own time. The clocks of the thread do not see the wait for Go's scheduler,
// when the thread sleeps, and the trace does not see the wait for a CPU, when the goroutine runs.
// The two may overlap while the thread wakes up, for an unknown time: hence the bounds. What makes
// the task ready again, a timer or a goroutine, waits in the same queues first, so that a wait may
// be too long by as much as the wait for the scheduler that follows it.
//
// A quota that throttles the process also throttles what would make the task ready, so that a wait
// may be too long by all of the throttled time.
func (f *figures) split() own {
	o := f.splitUnlimited()
	if f.quota != nil {
		o.blocked.low = max(o.blocked.low-f.quota.Time, 0)
	}
	return o
}

func (f *figures) splitUnlimited() own {
	if f.trace != nil {
		return f.splitTraced()
	}
	cpu, known := f.cpu.Get()
	if !known {
		return own{span{0, f.wall}, span{0, f.wall}}
	}
	rest := max(f.wall-cpu, 0)
	queue, known := f.queue.Get()
	if !known {
		return own{span{cpu, cpu}, span{0, rest}}
	}
	high := max(rest-queue, 0)
	latency, known := f.latency.Get()
	if !known {
		latency = high // missed, since the runtime samples one in eight
	}
	scheduler := latency * time.Duration(f.sleeps.Or(1))
	return own{span{cpu, cpu}, span{max(high-scheduler, 0), high}}
}

func (f *figures) splitTraced() own {
	waiting := f.trace.waiting()
	active := f.trace.active // on a CPU, waiting for one, or blocked in a system call
	cpu, known := f.cpu.Get()
	if !known {
		return own{span{0, active}, span{max(waiting-f.trace.runnable, 0), waiting + active}}
	}
	rest := max(active-cpu, 0)
	queue := f.queue.Or(0)
	both := min(queue, f.trace.runnable)
	least := max(waiting-f.trace.runnable, 0)
	blocked := span{least + max(rest-queue, 0), waiting + max(rest-queue+both, 0)}
	if _, known := f.queue.Get(); !known {
		blocked = span{least, waiting + rest}
	}
	blocked.high = min(blocked.high, max(f.wall-cpu, 0))
	blocked.low = min(blocked.low, blocked.high)
	return own{span{cpu, cpu}, blocked}
}

// cpuShare returns the bounds of the share of the task's own time that it is on a CPU.
func (o own) cpuShare() (low, high float64) {
	share := func(cpu, blocked time.Duration) float64 {
		if cpu+blocked == 0 {
			return 0.5
		}
		return float64(cpu) / float64(cpu+blocked)
	}
	return share(o.cpu.low, o.blocked.high), share(o.cpu.high, o.blocked.low)
}

// most returns the upper bound of the task's own time, which is at most the wall time.
func (o own) most(wall time.Duration) time.Duration {
	return min(o.cpu.high+o.blocked.high, wall)
}

// classify returns the profile that the figures make.
func (f *figures) classify() *Profile {
	o := f.split()
	p := &Profile{Calls: f.calls, Wall: f.wall}
	f.describe(p, o)
	p.Class, p.Reasons = f.class(o)
	f.advise(p, o)
	return p
}

// class returns the class and its reasons. It first rules out that the figures are meaningless.
func (f *figures) class(o own) (Class, []string) {
	low, high := o.cpuShare()
	most := o.most(f.wall)
	queued := append(f.queuedReason(o), f.quotaReason()...)
	switch lock, known := f.locks(); {
	case f.isElsewhere(most):
		return Undetermined, []string{f.elsewhereReason(most)}
	case known && lock > 0 && float64(lock) > lockContended*float64(most):
		return LockContended, append([]string{f.lockReason(lock, most)}, queued...)
	case most < quick*time.Duration(f.calls):
		return Quick, append([]string{f.quickReason(most)}, queued...)
	case !known && low < cpuBound && float64(f.mutex) > lockContended*float64(most):
		return Undetermined, append([]string{f.mutexReason()}, queued...)
	}
	switch share := (low + high) / 2; {
	case high-low > tolerance && grade(low) != grade(high):
		return Undetermined, append(f.unsureReasons(o), queued...)
	default:
		return grade(share), append([]string{f.shareReason(o)}, queued...)
	}
}

// grade returns the class of a share of time on a CPU.
func grade(share float64) Class {
	switch {
	case share >= cpuBound:
		return CPUBound
	case share <= ioBound:
		return IOBound
	}
	return Mixed
}

// locks returns how long the task waited for mutexes, which only the trace knows.
func (f *figures) locks() (time.Duration, bool) {
	if f.trace == nil {
		return 0, false
	}
	return f.trace.waits[mutexWait].Time, true
}

// isElsewhere reports whether goroutines that the task started did much of the work.
func (f *figures) isElsewhere(most time.Duration) bool {
	return f.trace != nil && f.trace.ran > 0 && float64(f.trace.ran) > elsewhere*float64(most)
}

// describe fills in where the time went.
func (f *figures) describe(p *Profile, o own) {
	if a := f.trace; a != nil {
		p.GoQueue = instrument.Some(a.runnable)
		p.Started, p.Ran = a.started, a.ran
		for _, w := range a.waits {
			p.Waits = append(p.Waits, w)
		}
		slices.SortFunc(p.Waits, func(a, b Wait) int { return int(b.Time - a.Time) })
	}
	if q := f.quota; q != nil {
		p.Quota, p.ThrottledTime = instrument.Some(q.Quota), instrument.Some(q.Time)
		p.QuotaPeriods, p.ThrottledPeriods = instrument.Some(q.Periods), instrument.Some(q.Throttled)
	}
	p.OnCPU = f.cpu
	if _, known := f.queue.Get(); !known || o.cpu.low != o.cpu.high {
		return
	}
	blocked := min(o.blocked.middle(), f.wall-o.cpu.low)
	p.Blocked = instrument.Some(blocked)
	p.BlockedError = (o.blocked.high - o.blocked.low) / 2
	p.RunQueue = instrument.Some(f.wall - o.cpu.low - blocked)
}

// busyWorkers returns how many tasks keep all processors busy: N = processors × (1 + wait / compute),
// Goetz, Java Concurrency in Practice, 8.2. It holds for times of a task alone, as they are here: in
// a full pool they include its queueing.
func (f *figures) busyWorkers(o own) (int64, bool) {
	cpu := o.cpu.middle()
	if cpu <= 0 || f.processors < 1 {
		return 0, false
	}
	n := float64(f.processors) * (1 + float64(o.blocked.middle())/float64(cpu))
	if n > math.MaxInt32 {
		return 0, false
	}
	return int64(math.Ceil(n - 0.05)), true // 2.04 is 2
}
