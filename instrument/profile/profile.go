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

// The classes of tasks. docs/profile.md has what decides each.
const (
	Undetermined  Class = iota // what was measured allows more than one answer
	CPUBound                   // on a CPU for 90 % of its own time or more, which is that on a CPU and blocked
	IOBound                    // blocked for 90 % or more: by network, disk, timer, channel …
	Mixed                      // between the two
	Quick                      // takes less than 10 µs
	LockContended              // waits for mutexes for more than 30 % of its own time
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

	// Workers is how many to run at once so that the CPUs are busy, one where more would not help;
	// absent where that is not known. It says nothing of what the task waits for: that may bear
	// fewer.
	Workers instrument.Optional[int64]

	Calls int
	Wall  time.Duration

	// Of the goroutine that made the calls. Wall is the sum of the three. Absent if the system does
	// not report them.
	OnCPU instrument.Optional[time.Duration]
	// ready, behind other threads, goroutines of this process or a CPU quota
	RunQueue instrument.Optional[time.Duration]
	Blocked  instrument.Optional[time.Duration]

	// BlockedError is how far Blocked, and RunQueue with it, may be off to either side.
	BlockedError time.Duration

	// the time in which Go's scheduler let it wait; most of it is in RunQueue too
	GoQueue instrument.Optional[time.Duration]
	Waits   []Wait        // what it waited for, the longest first; empty if there is no execution trace
	Started int           // goroutines that the calls started, as far as the trace tells
	Ran     time.Duration // how long those ran

	// Of its thread, absent where the system does not tell.
	// page faults; a major one had to wait for a disk
	MinorFaults, MajorFaults instrument.Optional[int64]
	// context switches: to wait, and for another thread
	VoluntarySwitches, ForcedSwitches instrument.Optional[int64]

	// Of the CPU quota that stopped the process for longest, be it that of its control group or of
	// one around it; absent without any.
	Quota            instrument.Optional[float64]       // in CPUs
	QuotaPeriods     instrument.Optional[int64]         // in which the group wanted to run
	ThrottledPeriods instrument.Optional[int64]         // and was stopped
	ThrottledTime    instrument.Optional[time.Duration] // summed over the CPUs

	// Of the whole process in that time, not of the task alone.
	ProcessCPU    time.Duration
	ProcessAllocs uint64        // objects on the heap
	ProcessBytes  uint64        // and their size
	ProcessMutex  time.Duration // waits of goroutines for mutexes, which the runtime estimates
}

// Wait is a reason for which the task's goroutine did not run.
type Wait struct {
	// as the runtime has it: sleep, network, chan receive, select …; or mutex, wait group,
	// condition
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
