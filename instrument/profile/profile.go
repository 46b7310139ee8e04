package profile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Class is what limits a task, which decides how many should run at once.
type Class uint8

// The classes of tasks. A task's own time is its time on a CPU plus its time blocked.
// docs/profile.md describes the rules.
const (
	Undetermined  Class = iota // the figures allow more than one answer
	CPUBound                   // at least 90 % of its own time on a CPU
	IOBound                    // at least 90 % blocked: by network, disk, timer, channel …
	Mixed                      // neither
	Quick                      // takes less than 10 µs
	LockContended              // more than 30 % of its own time waiting for mutexes
)

// String returns the name of the class.
func (c Class) String() string {
	return [...]string{"undetermined", "CPU-bound", "I/O-bound", "mixed", "quick", "lock-contended"}[c]
}

// Profile describes one or several calls of a task. Times are totals over the calls.
type Profile struct {
	Class   Class
	Reasons []string // why this class, with the figures
	Advice  string   // recommendation, in a sentence or two

	// Workers is the number of tasks to run at once to keep the CPUs busy. It is 1 if more would
	// not help, and absent if unknown. A resource that the task waits for may allow fewer.
	Workers instrument.Optional[int64]

	Calls int
	Wall  time.Duration

	// Of the goroutine that made the calls. Wall is the sum of OnCPU, RunQueue and Blocked. Each of
	// these is absent if the system does not report it.
	OnCPU    instrument.Optional[time.Duration]
	RunQueue instrument.Optional[time.Duration] // ready but without a CPU, or throttled by a quota
	Blocked  instrument.Optional[time.Duration]

	// BlockedError is the maximum error of Blocked in either direction, and therefore also of
	// RunQueue.
	BlockedError time.Duration

	// From the execution trace, if there is one.
	GoQueue instrument.Optional[time.Duration] // wait for Go's scheduler, mostly part of RunQueue
	Waits   []Wait                             // longest first
	Started int                                // goroutines that the calls started
	Ran     time.Duration                      // total run time of these goroutines

	// Of the thread. A major page fault waited for a disk. Context switches are voluntary, to wait,
	// or forced. Absent if the system does not report them.
	MinorFaults, MajorFaults          instrument.Optional[int64]
	VoluntarySwitches, ForcedSwitches instrument.Optional[int64]

	// Of the CPU quota that throttled the process longest; it belongs to its control group or an
	// ancestor. Absent without a quota.
	Quota            instrument.Optional[float64] // in CPUs
	QuotaPeriods     instrument.Optional[int64]
	ThrottledPeriods instrument.Optional[int64]
	ThrottledTime    instrument.Optional[time.Duration] // summed over the CPUs

	// Of the whole process during the calls.
	ProcessCPU    time.Duration
	ProcessAllocs uint64        // objects on the heap
	ProcessBytes  uint64        // size of these objects
	ProcessMutex  time.Duration // total wait of goroutines for mutexes, estimated by the runtime
}

// Wait is the time that the task's goroutine waited for one reason.
type Wait struct {
	// Reason is as named by the runtime, such as sleep, network, chan receive or select, or it is
	// mutex, wait group or condition.
	Reason string
	Time   time.Duration
	Count  int
}

// Run calls fn once and returns its profile. See [Times].
func Run(ctx context.Context, fn func(context.Context) error) (*Profile, error) {
	return Times(ctx, 1, fn)
}

// Times calls fn up to n times in the calling goroutine and returns the profile of the calls. It
// stops at the first error of fn, or when ctx ends, and returns that error with the Profile of the
// calls made, including the failed one. If no call was made, the Profile is nil. A panic or
// [runtime.Goexit] of fn is not recovered.
//
// During the calls the goroutine is locked to its thread, and the process records an execution
// trace in memory: a few MB a second in a busy process. If another trace is being recorded, for
// example by a concurrent call, there is no trace, and more of the profile is undetermined. The
// calls should take between a tenth of a second and a few seconds in all. Times is safe for
// concurrent use.
func Times(ctx context.Context, n int, fn func(context.Context) error) (*Profile, error) {
	if fn == nil || n < 1 {
		return nil, fmt.Errorf(
			"profile: got %d calls of a function (nil: %v), expected at least one call of a non-nil function",
			n,
			fn == nil,
		)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("profile: no call was made: %w", err)
	}
	var m measurement
	err := m.take(ctx, n, fn)
	return m.profile(), err
}

// loop makes the calls and returns how many it made.
func loop(ctx context.Context, n int, fn func(context.Context) error) (calls int, err error) {
	for calls < n {
		calls++
		if err := fn(ctx); err != nil {
			return calls, err
		}
		if err := ctx.Err(); err != nil && calls < n {
			return calls, errors.Join(fmt.Errorf("profile: %d of %d calls made", calls, n), err)
		}
	}
	return calls, nil
}
