package profile

import (
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// per divides a total by the number of calls, and rounds the result to three significant digits.
func (f *figures) per(total time.Duration) time.Duration {
	return short(total / time.Duration(max(f.calls, 1)))
}

// short rounds a duration to three significant digits.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for limit := time.Duration(1000); d.Abs() >= limit && unit < time.Hour; limit *= 10 {
		unit *= 10
	}
	return d.Round(unit)
}

func percent(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

func (f *figures) shareReason(o own) string {
	cpu, blocked := o.cpu.middle(), o.blocked.middle()
	return fmt.Sprintf("%v on a CPU and %v blocked per call: on a CPU for %.0f %% of its own time",
		f.per(cpu), f.per(blocked), percent(cpu, cpu+blocked))
}

func (f *figures) lockReason(lock, most time.Duration) string {
	return fmt.Sprintf(
		"%v per call waiting for mutexes, %d times in total: %.0f %% of its own time, and more than %.0f %% is contended",
		f.per(lock),
		f.trace.waits[mutexWait].Count,
		percent(lock, most),
		100*lockContended,
	)
}

func (f *figures) quickReason(most time.Duration) string {
	return fmt.Sprintf(
		"at most %v per call, not counting waits for a CPU, and less than %v is quick",
		f.per(most),
		quick,
	)
}

func (f *figures) elsewhereReason(most time.Duration) string {
	return fmt.Sprintf(
		"%d goroutines that it started ran for %v per call, while its own time is %v: the clocks of its thread miss most of the work",
		f.trace.started,
		f.per(f.trace.ran),
		f.per(most),
	)
}

func (f *figures) mutexReason() string {
	return fmt.Sprintf(
		"goroutines of this process waited %v for mutexes meanwhile, and without an execution trace (%v) it is unknown whether the task was one of them",
		short(f.mutex),
		f.traceErr,
	)
}

// unsureReasons explains why the bounds of o's CPU share are too far apart to determine the class.
func (f *figures) unsureReasons(o own) []string {
	low, high := o.cpuShare()
	reasons := []string{
		fmt.Sprintf("it is on a CPU for %.0f to %.0f %% of its own time: blocked for %v to %v per call",
			100*low, 100*high, f.per(o.blocked.low), f.per(o.blocked.high)),
	}
	if _, known := f.cpu.Get(); !known {
		reasons = append(reasons, "this system does not report the CPU time of a thread")
	} else if _, known := f.queue.Get(); !known {
		reasons = append(reasons, "this system does not report how long a thread waits for a CPU")
	}
	if f.trace == nil {
		reasons = append(
			reasons,
			fmt.Sprintf("there is no execution trace of what the goroutine waited for: %v", f.traceErr),
		)
	} else if f.trace.runnable > 0 {
		reasons = append(reasons, fmt.Sprintf("it waited %v per call for Go's scheduler", f.per(f.trace.runnable)))
	}
	return reasons
}

// queuedReason returns a reason if the machine is oversubscribed.
func (f *figures) queuedReason(o own) []string {
	queued := f.wall - o.most(f.wall)
	if percent(queued, f.wall) < 25 {
		return nil
	}
	return []string{
		fmt.Sprintf(
			"it waited for a CPU for %.0f %% of the wall time, which is left out: other processes use the CPUs, or a quota throttles it",
			percent(queued, f.wall),
		),
	}
}

// quotaReason returns a reason if a quota throttled the process.
func (f *figures) quotaReason() []string {
	if f.quota == nil || f.quota.Throttled == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf(
			"the CPU quota of %.3g CPUs throttled the process in %d of %d periods, for %v in total over all CPUs: blocked time may look longer by as much",
			f.quota.Quota,
			f.quota.Throttled,
			f.quota.Periods,
			short(f.quota.Time),
		),
	}
}

// advise sets p's advice and the number of workers.
func (f *figures) advise(p *Profile, o own) {
	workers, known := f.busyWorkers(o)
	switch p.Class {
	case CPUBound:
		p.Workers = instrument.Some(int64(f.processors))
		p.Advice = fmt.Sprintf(
			"Run %d at once, one for each CPU that Go uses: more of them would only take turns.",
			f.processors,
		)
	case IOBound, Mixed:
		if !known {
			p.Advice = "Run as many at once as the resource that it waits for can handle: the CPUs are nearly idle."
			return
		}
		p.Workers = instrument.Some(workers)
		p.Advice = fmt.Sprintf(
			"Up to %d at once keep the %d CPUs busy, if the resource that it waits for can handle that many: %d × (1 + %v blocked / %v on a CPU).",
			workers,
			f.processors,
			f.processors,
			f.per(o.blocked.middle()),
			f.per(o.cpu.middle()),
		)
	case Quick:
		batch := max(2, int64(10*quick/max(1, o.most(f.wall)/time.Duration(max(f.calls, 1)))))
		p.Workers = instrument.Some(int64(1))
		p.Advice = fmt.Sprintf(
			"Call it directly, or submit batches of about %d: submitting one costs as much as running it.",
			min(batch, 10000),
		)
	case LockContended:
		p.Workers = instrument.Some(int64(1))
		p.Advice = "Running more at once would only make them wait for the lock: hold it for less time, split what it guards, or give each worker its own; then measure again."
	default:
		p.Advice = "Measure again, for longer, while the machine is idle: a number derived from these measurements would be a guess."
		if f.isElsewhere(o.most(f.wall)) {
			p.Advice = "Profile the function that one of its goroutines runs."
		}
	}
}
