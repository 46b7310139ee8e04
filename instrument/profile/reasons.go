package profile

import (
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// perCall divides a total by the number of calls, and rounds the result to three significant
// digits.
func (f *factors) perCall(total time.Duration) time.Duration {
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

// percent returns part as a percentage of total, or 0 if total is 0.
func percent(part, total time.Duration) float64 {
	if total <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(total)
}

func (f *factors) shareReason(o own) string {
	cpu, blocked := o.cpu.midpoint(), o.blocked.midpoint()
	return fmt.Sprintf("%v on a CPU and %v blocked per call: on a CPU for %.0f%% of its own time",
		f.perCall(cpu), f.perCall(blocked), percent(cpu, cpu+blocked))
}

func (f *factors) lockReason(lock, maxOwn time.Duration) string {
	return fmt.Sprintf(
		"%v per call waiting for mutexes, %d times in total: %.0f%% of its own time, and more than %.0f%% counts as contended",
		f.perCall(lock),
		f.trace.waits[mutexWait].Count,
		percent(lock, maxOwn),
		100*lockContended,
	)
}

func (f *factors) quickReason(maxOwn time.Duration) string {
	return fmt.Sprintf(
		"at most %v per call, not counting waits for a CPU, and less than %v counts as quick",
		f.perCall(maxOwn),
		quick,
	)
}

func (f *factors) elsewhereReason(maxOwn time.Duration) string {
	return fmt.Sprintf(
		"%d goroutines that it started ran for %v per call, while its own time is %v: the clocks of its thread miss most of the work",
		f.trace.started,
		f.perCall(f.trace.ran),
		f.perCall(maxOwn),
	)
}

func (f *factors) mutexReason() string {
	return fmt.Sprintf(
		"during the calls, goroutines of this process waited for mutexes for %v in total; without an execution trace (%v), it is unknown whether the task was waiting",
		short(f.mutex),
		f.traceErr,
	)
}

// undeterminedReasons explains why the bounds of o's CPU share are too far apart to determine the
// class.
func (f *factors) undeterminedReasons(o own) []string {
	low, high := o.cpuShare()
	reasons := []string{
		fmt.Sprintf("it is on a CPU for %.0f to %.0f%% of its own time: blocked for %v to %v per call",
			100*low, 100*high, f.perCall(o.blocked.low), f.perCall(o.blocked.high)),
	}
	if _, known := f.cpu.Get(); !known {
		reasons = append(reasons, "this system does not report the CPU time of a thread")
	} else if _, known := f.queue.Get(); !known {
		reasons = append(reasons, "this system does not report how long a thread waits for a CPU")
	}
	if f.trace == nil {
		reasons = append(
			reasons,
			fmt.Sprintf("there is no execution trace that shows what the goroutine waited for: %v", f.traceErr),
		)
	} else if f.trace.runnable > 0 {
		reasons = append(reasons, fmt.Sprintf("it waited %v per call for Go's scheduler", f.perCall(f.trace.runnable)))
	}
	return reasons
}

// queuedReason mentions waits for a CPU if they took much of the wall time.
func (f *factors) queuedReason(o own) []string {
	queued := f.wall - o.upperBound(f.wall)
	if percent(queued, f.wall) < 25 {
		return nil
	}
	return []string{
		fmt.Sprintf(
			"it waited for a CPU for %.0f%% of the wall time, which is not part of its own time: other processes use the CPUs, or a quota throttles it",
			percent(queued, f.wall),
		),
	}
}

// quotaReason mentions the CPU quota if it throttled the process.
func (f *factors) quotaReason() []string {
	if f.quota == nil || f.quota.Throttled == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf(
			"the CPU quota of %.3g CPUs throttled the process in %d of %d periods, for %v in total over all CPUs: blocked time may be overstated by as much",
			f.quota.Quota,
			f.quota.Throttled,
			f.quota.Periods,
			short(f.quota.Time),
		),
	}
}

// advise sets p's advice and the number of workers.
func (f *factors) advise(p *Profile, o own) {
	workers, known := f.busyWorkers(o)
	switch p.Class {
	case CPUBound:
		p.Workers = instrument.Some(int64(f.processors))
		p.Advice = fmt.Sprintf(
			"Run %d at a time, one for each CPU that Go uses: more of them would only take turns.",
			f.processors,
		)
	case IOBound, Mixed:
		if !known {
			p.Advice = "Run as many at a time as the resource that they wait for can handle: the CPUs are nearly idle."
			return
		}
		p.Workers = instrument.Some(workers)
		p.Advice = fmt.Sprintf(
			"Run up to %d at a time to keep the %d CPUs busy, if the resource that they wait for can handle that many: %d × (1 + %v blocked / %v on a CPU).",
			workers,
			f.processors,
			f.processors,
			f.perCall(o.blocked.midpoint()),
			f.perCall(o.cpu.midpoint()),
		)
	case Quick:
		batch := max(2, int64(10*quick/max(1, o.upperBound(f.wall)/time.Duration(max(f.calls, 1)))))
		p.Workers = instrument.Some(int64(1))
		p.Advice = fmt.Sprintf(
			"Call it directly, or submit batches of about %d: submitting one costs as much as running it.",
			min(batch, 10000),
		)
	case LockContended:
		p.Workers = instrument.Some(int64(1))
		p.Advice = "Running several at a time would only make them wait for the lock: hold it for less time, split what it guards, or give each worker its own; then measure again."
	default:
		p.Advice = "Measure again, for longer, while the machine is idle: a number derived from these measurements would be a guess."
		if f.workIsElsewhere(o.upperBound(f.wall)) {
			p.Advice = "Profile a function that one of its goroutines runs instead."
		}
	}
}
