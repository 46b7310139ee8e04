// Package thread reads the figures of the calling thread: CPU time, the wait for a CPU, page faults
// and context switches. To compare two readings, the goroutine must be locked to its thread between
// them; see [runtime.LockOSThread].
//
// Linux has all of these, macOS the CPU time only, and Windows none.
package thread

import "time"

// Counts counts events of a thread since its start.
type Counts struct {
	MinorFaults int64 // page faults without a disk read
	MajorFaults int64 // page faults with a disk read
	// context switches because the thread went to sleep
	Voluntary   int64
	Involuntary int64 // context switches because another thread got the CPU
}

// Split is how the wall time of a piece of work was spent. The parts add up to Wall.
type Split struct {
	Wall  time.Duration
	OnCPU time.Duration
	// ready to run but waiting for a CPU, behind other threads or throttled
	RunQueue time.Duration
	// the rest, including the wait for Go's scheduler, during which the thread sleeps
	Blocked time.Duration
}

// splitOf divides wall according to the clocks of the thread. Since these are read outside the
// readings of the wall clock, they may exceed it slightly; the excess is cut off.
func splitOf(wall, cpu, delay time.Duration) Split {
	s := Split{Wall: max(wall, 0)}
	s.OnCPU = min(max(cpu, 0), s.Wall)
	s.RunQueue = min(max(delay, 0), s.Wall-s.OnCPU)
	s.Blocked = s.Wall - s.OnCPU - s.RunQueue
	return s
}
