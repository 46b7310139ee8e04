// Package thread reads what the operating system knows of the calling thread: CPU time, the wait
// for a CPU, page faults and context switches. The goroutine must be locked to its thread between
// two readings that are to be compared; see [runtime.LockOSThread].
//
// What a system does not tell is absent: on Linux all is there, on macOS the CPU time only, on
// Windows nothing.
package thread

import "time"

// Counts are how often something has happened to the thread since it exists.
type Counts struct {
	MinorFaults int64 // pages that were mapped without a disk
	MajorFaults int64 // pages that had to be read
	// context switches because the thread waited for something: how often it has gone to sleep
	Voluntary   int64
	Involuntary int64 // context switches because another thread was given the CPU
}

// Split is what became of the wall time of a piece of work. The parts add up to Wall.
type Split struct {
	Wall  time.Duration
	OnCPU time.Duration
	// ready, and waiting for a CPU: behind other threads, or stopped by a CPU quota
	RunQueue time.Duration
	// the rest; the wait for Go's scheduler is in it, since the thread sleeps meanwhile
	Blocked time.Duration
}

// SplitOf divides wall, given what the clocks of the thread say. They are read around the wall
// clock and so may exceed it a little: what exceeds it is cut.
func SplitOf(wall, cpu, delay time.Duration) Split {
	s := Split{Wall: max(wall, 0)}
	s.OnCPU = min(max(cpu, 0), s.Wall)
	s.RunQueue = min(max(delay, 0), s.Wall-s.OnCPU)
	s.Blocked = s.Wall - s.OnCPU - s.RunQueue
	return s
}
