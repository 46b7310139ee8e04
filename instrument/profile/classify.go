package profile

import (
	"math"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

const (
	cpuBound      = 0.9                   // minimum share of the task's own time on a CPU
	ioBound       = 0.1                   // maximum share of the task's own time on a CPU
	tolerance     = 0.15                  // maximum distance between a share's bounds at which their mean is used
	lockContended = 0.3                   // minimum share of the task's own time waiting for mutexes
	elsewhere     = 0.25                  // maximum ratio of started goroutines' run time to own time
	quick         = 10 * time.Microsecond // upper bound for quick tasks: submitting one takes over 1% of its time
)

// factors holds the measurements that determine the class. Times are totals over all calls.
type factors struct {
	calls      int
	processors int // number of processors of Go's scheduler (GOMAXPROCS)
	wall       time.Duration
	cpu        instrument.Optional[time.Duration] // the thread's CPU time
	queue      instrument.Optional[time.Duration] // time that the thread was ready but had no CPU
	trace      *account                           // how the goroutine spent its time; nil without a trace
	traceErr   error                              // why there is no trace
	quota      *throttle.Stops                    // how a quota throttled the process; nil without a quota

	// Measurements that are used if there is no trace. The first two cover the whole process.
	mutex   time.Duration                      // total wait of goroutines for mutexes
	latency instrument.Optional[time.Duration] // mean wait for Go's scheduler
	sleeps  instrument.Optional[int64]         // how often the thread slept
}

// span holds the bounds of a duration that is not known exactly.
type span struct{ low, high time.Duration }

func (s span) midpoint() time.Duration { return s.low + (s.high-s.low)/2 }

// own is the task's own time: wall time, excluding time spent waiting for a CPU or for the Go
// scheduler.
type own struct {
	cpu, blocked span
}

// split computes bounds for the task's own time. The thread's clocks do not show waits for Go's
// scheduler, during which the thread sleeps. The trace does not show waits for a CPU, during which
// the goroutine counts as running. Both waits may overlap for an unknown time while the thread
// wakes up, so only bounds can be computed. In addition, the timer or goroutine that makes the task
// ready again must first wait in the same queues. So a blocked time may be overstated by as much as
// the scheduler wait that follows it.
//
// A quota that throttles the process also delays that timer or goroutine, so a blocked time may be
// overstated by the entire throttled time.
func (f *factors) split() own {
	o := f.splitUnlimited()
	if f.quota != nil {
		o.blocked.low = max(o.blocked.low-f.quota.Time, 0)
	}
	return o
}

// splitUnlimited is split without the effect of a quota.
func (f *factors) splitUnlimited() own {
	if f.trace != nil {
		return f.splitTraced()
	}
	cpu, known := f.cpu.Get()
	if !known {
		return own{span{0, f.wall}, span{0, f.wall}}
	}
	offCPU := max(f.wall-cpu, 0)
	queue, known := f.queue.Get()
	if !known {
		return own{span{cpu, cpu}, span{0, offCPU}}
	}
	high := max(offCPU-queue, 0)
	latency, known := f.latency.Get()
	if !known {
		latency = high // unknown: the runtime samples one wait in eight
	}
	scheduler := latency * time.Duration(f.sleeps.Or(1))
	return own{span{cpu, cpu}, span{max(high-scheduler, 0), high}}
}

// splitTraced is splitUnlimited with a trace.
func (f *factors) splitTraced() own {
	waiting := f.trace.waiting()
	active := f.trace.active // on a CPU, waiting for one, or blocked in a system call
	cpu, known := f.cpu.Get()
	if !known {
		return own{span{0, active}, span{max(waiting-f.trace.runnable, 0), waiting + active}}
	}
	offCPU := max(active-cpu, 0)
	queue := f.queue.Or(0)
	maxOverlap := min(queue, f.trace.runnable)
	minWaiting := max(waiting-f.trace.runnable, 0)
	blocked := span{minWaiting + max(offCPU-queue, 0), waiting + max(offCPU-queue+maxOverlap, 0)}
	if _, known := f.queue.Get(); !known {
		blocked = span{minWaiting, waiting + offCPU}
	}
	blocked.high = min(blocked.high, max(f.wall-cpu, 0))
	blocked.low = min(blocked.low, blocked.high)
	return own{span{cpu, cpu}, blocked}
}

// cpuShare returns bounds for the share of the task's own time that it spends on a CPU.
func (o own) cpuShare() (low, high float64) {
	share := func(cpu, blocked time.Duration) float64 {
		if cpu+blocked == 0 {
			return 0.5
		}
		return float64(cpu) / float64(cpu+blocked)
	}
	return share(o.cpu.low, o.blocked.high), share(o.cpu.high, o.blocked.low)
}

// upperBound returns an upper bound on the task's own time, capped at wall.
func (o own) upperBound(wall time.Duration) time.Duration {
	return min(o.cpu.high+o.blocked.high, wall)
}

// classify returns the Profile that f determines.
func (f *factors) classify() *Profile {
	o := f.split()
	p := &Profile{Calls: f.calls, Wall: f.wall}
	f.describe(p, o)
	p.Class, p.Reasons = f.class(o)
	f.advise(p, o)
	return p
}

// class returns the class and the reasons for it.
func (f *factors) class(o own) (Class, []string) {
	low, high := o.cpuShare()
	maxOwn := o.upperBound(f.wall)
	queued := append(f.queuedReason(o), f.quotaReason()...)
	switch lock, known := f.mutexWaits(); {
	case f.workIsElsewhere(maxOwn):
		return Undetermined, []string{f.elsewhereReason(maxOwn)}
	case known && lock > 0 && float64(lock) > lockContended*float64(maxOwn):
		return LockContended, append([]string{f.lockReason(lock, maxOwn)}, queued...)
	case maxOwn < quick*time.Duration(f.calls):
		return Quick, append([]string{f.quickReason(maxOwn)}, queued...)
	case !known && low < cpuBound && float64(f.mutex) > lockContended*float64(maxOwn):
		return Undetermined, append([]string{f.mutexReason()}, queued...)
	}
	switch share := (low + high) / 2; {
	case high-low > tolerance && grade(low) != grade(high):
		return Undetermined, append(f.undeterminedReasons(o), queued...)
	default:
		return grade(share), append([]string{f.shareReason(o)}, queued...)
	}
}

// grade returns the class of a task that spends the given share of its own time on a CPU.
func grade(share float64) Class {
	switch {
	case share >= cpuBound:
		return CPUBound
	case share <= ioBound:
		return IOBound
	}
	return Mixed
}

// mutexWaits returns how long the task waited for mutexes. It returns false without a trace, since
// only the trace shows these waits.
func (f *factors) mutexWaits() (total time.Duration, known bool) {
	if f.trace == nil {
		return 0, false
	}
	return f.trace.waits[mutexWait].Time, true
}

// workIsElsewhere reports whether goroutines that the task started did much of its work. maxOwn is
// the upper bound of the task's own time.
func (f *factors) workIsElsewhere(maxOwn time.Duration) bool {
	return f.trace != nil && f.trace.ran > 0 && float64(f.trace.ran) > elsewhere*float64(maxOwn)
}

// describe copies the measurements into p, and sets p's breakdown of the wall time.
func (f *factors) describe(p *Profile, o own) {
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
	blocked := min(o.blocked.midpoint(), f.wall-o.cpu.low)
	p.Blocked = instrument.Some(blocked)
	p.BlockedError = (o.blocked.high - o.blocked.low) / 2
	p.RunQueue = instrument.Some(f.wall - o.cpu.low - blocked)
}

// busyWorkers returns how many tasks keep all processors busy: N = processors × (1 + wait /
// compute), from Goetz, Java Concurrency in Practice, 8.2. The formula needs the times of a task
// that runs alone, as here. Times measured in a full pool would include queueing. busyWorkers
// returns false if the number is unknown or very large.
func (f *factors) busyWorkers(o own) (int64, bool) {
	cpu := o.cpu.midpoint()
	if cpu <= 0 {
		return 0, false
	}
	n := float64(f.processors) * (1 + float64(o.blocked.midpoint())/float64(cpu))
	if n > math.MaxInt32 {
		return 0, false
	}
	return int64(math.Ceil(n - 0.05)), true // so that 2.04 becomes 2
}
