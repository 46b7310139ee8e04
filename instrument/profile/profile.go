package profile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Class describes what limits a task, and thus how many such tasks should run concurrently.
type Class uint8

// The classes of tasks. A task's own time is its time on a CPU plus its time blocked.
// docs/profile.md describes the rules.
const (
	Undetermined  Class = iota // the measurements allow more than one answer
	CPUBound                   // spends at least 90% of its own time on a CPU
	IOBound                    // is blocked for at least 90% of its own time: by network, disk, timer, channel …
	Mixed                      // is neither CPU-bound nor I/O-bound
	Quick                      // takes less than 10 µs
	LockContended              // waits for mutexes for more than 30% of its own time
)

// String returns the name of the class.
func (c Class) String() string {
	return [...]string{"undetermined", "CPU-bound", "I/O-bound", "mixed", "quick", "lock-contended"}[c]
}

// Profile describes one or more calls of a task. Times are totals over the calls.
type Profile struct {
	Class   Class
	Reasons []string // why the task has this class, with the measurements
	Advice  string   // how many to run concurrently, in a sentence or two

	// Workers is the number of tasks to run concurrently to keep the CPUs busy. It is 1 if running
	// more would not help, and absent if unknown. The resource that the task waits for may allow
	// fewer.
	Workers instrument.Optional[int64]

	Calls int
	Wall  time.Duration

	// Times of the goroutine that made the calls. Wall is the sum of OnCPU, RunQueue and Blocked,
	// each of which is absent if the system does not report it.
	OnCPU    instrument.Optional[time.Duration]
	RunQueue instrument.Optional[time.Duration] // ready but without a CPU, or throttled by a quota
	Blocked  instrument.Optional[time.Duration]

	// BlockedError is the maximum error of Blocked in either direction, and therefore also of
	// RunQueue.
	BlockedError time.Duration

	// Results from the execution trace, if there is one.
	GoQueue instrument.Optional[time.Duration] // total wait for Go's scheduler, mostly part of RunQueue
	Waits   []Wait                             // longest first
	Started int                                // number of goroutines that the calls started
	Ran     time.Duration                      // total run time of these goroutines

	// Counts for the thread, absent if the system does not report them. A major page fault waits
	// for a disk. A context switch is voluntary if the thread waits for something, and otherwise
	// involuntary.
	MinorFaults, MajorFaults               instrument.Optional[int64]
	VoluntarySwitches, InvoluntarySwitches instrument.Optional[int64]

	// The CPU quota that throttled the process longest, absent if there is none. It belongs to the
	// process's cgroup or an ancestor.
	Quota            instrument.Optional[float64] // number of CPUs
	QuotaPeriods     instrument.Optional[int64]
	ThrottledPeriods instrument.Optional[int64]
	ThrottledTime    instrument.Optional[time.Duration] // total over all CPUs

	// The whole process during the calls.
	ProcessCPU    time.Duration
	ProcessAllocs uint64        // objects allocated on the heap
	ProcessBytes  uint64        // total size of these objects
	ProcessMutex  time.Duration // total wait of goroutines for mutexes, estimated by the runtime
}

// Wait describes the waits of the task's goroutine that had the same reason.
type Wait struct {
	// Reason is mutex, wait group, condition, or the runtime's name for the reason, such as sleep,
	// network, chan receive or select.
	Reason string
	Time   time.Duration // total time
	Count  int           // number of waits
}

// Run calls fn once and returns its profile. See [Times].
func Run(ctx context.Context, fn func(context.Context) error) (*Profile, error) {
	return Times(ctx, 1, fn)
}

// Times calls fn up to n times in the calling goroutine and returns the profile of these calls. It
// stops when fn returns an error or ctx is done. It then returns the error together with the
// Profile of the calls so far, including the one that failed. If there was no call, the Profile is
// nil. Times does not recover from panics in fn.
//
// During the calls the goroutine is locked to its thread, and the process records an execution
// trace in memory, which takes a few MB per second in a busy process. If another trace is already
// being recorded, for example by a concurrent call to Times, this call records none, and less can
// be determined. The calls should take between a tenth of a second and a few seconds in total.
// Times is safe for concurrent use.
func Times(ctx context.Context, n int, fn func(context.Context) error) (*Profile, error) {
	if fn == nil {
		return nil, errors.New("profile: fn is nil, expected a function")
	}
	if n < 1 {
		return nil, fmt.Errorf("profile: n is %d, expected 1 or more", n)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("profile: fn was not called: %w", err)
	}
	var m measurement
	err := m.measure(ctx, n, fn)
	return m.profile(), err
}

// loop calls fn up to n times and returns how many calls it made.
func loop(ctx context.Context, n int, fn func(context.Context) error) (calls int, err error) {
	for calls < n {
		calls++
		if err := fn(ctx); err != nil {
			return calls, err
		}
		if err := ctx.Err(); err != nil && calls < n {
			return calls, errors.Join(fmt.Errorf("profile: stopped after %d of %d calls", calls, n), err)
		}
	}
	return calls, nil
}
