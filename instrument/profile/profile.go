package profile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Class says what bounds a task, and so how many should run at once.
type Class uint8

// The classes of tasks. A task's own time is its time on a CPU and its time blocked.
// docs/profile.md has the rules.
const (
	Undetermined  Class = iota // the figures allow more than one answer
	CPUBound                   // at least 90 % of its own time on a CPU
	IOBound                    // at least 90 % blocked: by network, disk, timer, channel …
	Mixed                      // in between
	Quick                      // takes less than 10 µs
	LockContended              // more than 30 % of its own time waiting for mutexes
)

// String returns the name of the class.
func (c Class) String() string {
	return [...]string{"undetermined", "CPU-bound", "I/O-bound", "mixed", "quick", "lock-contended"}[c]
}

// Profile says what a task did, in one call or several. Times are totals over the calls.
type Profile struct {
	Class   Class
	Reasons []string // what decided it, with the figures
	Advice  string   // what to do, in a sentence or two

	// Workers is how many to run at once to keep the CPUs busy, 1 if more would not help; absent if
	// unknown. What the task waits for may take fewer.
	Workers instrument.Optional[int64]

	Calls int
	Wall  time.Duration

	// Of the goroutine that made the calls: Wall is the sum of OnCPU, RunQueue and Blocked. Each is
	// absent if the system does not report it.
	OnCPU    instrument.Optional[time.Duration]
	RunQueue instrument.Optional[time.Duration] // ready, but without a CPU or throttled by a quota
	Blocked  instrument.Optional[time.Duration]

	// BlockedError is the possible error of Blocked, and of RunQueue with it, to either side.
	BlockedError time.Duration

	// By the execution trace, if there is one.
	GoQueue instrument.Optional[time.Duration] // wait for Go's scheduler, mostly part of RunQueue
	Waits   []Wait                             // the longest first
	Started int                                // goroutines that the calls started
	Ran     time.Duration                      // run time of these goroutines

	// Of the thread: page faults, where a major one waited for a disk, and context switches, to wait
	// or forced. Absent if the system does not report them.
	MinorFaults, MajorFaults          instrument.Optional[int64]
	VoluntarySwitches, ForcedSwitches instrument.Optional[int64]

	// Of the CPU quota that throttled the process for longest, of its control group or a parent;
	// absent without a quota.
	Quota            instrument.Optional[float64] // in CPUs
	QuotaPeriods     instrument.Optional[int64]
	ThrottledPeriods instrument.Optional[int64]
	ThrottledTime    instrument.Optional[time.Duration] // summed over the CPUs

	// Of the whole process during the calls.
	ProcessCPU    time.Duration
	ProcessAllocs uint64        // objects on the heap
	ProcessBytes  uint64        // size of these objects
	ProcessMutex  time.Duration // waits of goroutines for mutexes, as the runtime estimates them
}

// Wait is one reason for which the task's goroutine waited.
type Wait struct {
	// Reason is the runtime's: sleep, network, chan receive, select …; or mutex, wait group or
	// condition.
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
// calls so far, the failed one included; without any call, the Profile is nil. A panic and
// [runtime.Goexit] of fn are not stopped.
//
// The goroutine is locked to its thread meanwhile, and the process records an execution trace in
// memory: some MB a second in a busy process. If another trace is being recorded, by a concurrent
// call for instance, this one has none, and more is undetermined. The calls should take a tenth of a
// second to some seconds in all. It is safe for concurrent use.
func Times(ctx context.Context, n int, fn func(context.Context) error) (*Profile, error) {
	if fn == nil || n < 1 {
		return nil, fmt.Errorf(
			"profile: %d calls of a function (nil: %v), expected at least one call of a function that is not nil",
			n,
			fn == nil,
		)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("profile: nothing was called: %w", err)
	}
	var m measurement
	err := m.take(ctx, n, fn)
	return m.profile(), err
}

// loop makes the calls and returns their number.
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
