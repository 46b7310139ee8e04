// Package thread measures the calling thread: its CPU time, how long it waited for a CPU, its page
// faults and context switches. To compare two readings, lock the goroutine to its thread between
// them; see [runtime.LockOSThread].
//
// Linux reports all of these, macOS only the CPU time, and Windows none.
package thread

import "time"

// Counts holds the numbers of a thread's page faults and context switches since the thread started.
type Counts struct {
	MinorFaults int64 // page faults that did not need a disk read
	MajorFaults int64 // page faults that needed a disk read
	// context switches because the thread went to sleep
	Voluntary   int64
	Involuntary int64 // context switches because another thread got the CPU
}

// Split describes how the wall time of a piece of work was spent. OnCPU, RunQueue and Blocked add
// up to Wall.
type Split struct {
	Wall  time.Duration
	OnCPU time.Duration
	// ready to run but waiting for a CPU, because of other threads or throttling
	RunQueue time.Duration
	// the remaining time, including waits for Go's scheduler, during which the thread sleeps
	Blocked time.Duration
}

// splitOf breaks down wall by the thread's CPU time and run-queue delay. These clocks are read
// before and after the wall clock, so their sum may slightly exceed wall; splitOf cuts off the
// excess.
func splitOf(wall, cpu, delay time.Duration) Split {
	s := Split{Wall: max(wall, 0)}
	s.OnCPU = min(max(cpu, 0), s.Wall)
	s.RunQueue = min(max(delay, 0), s.Wall-s.OnCPU)
	s.Blocked = s.Wall - s.OnCPU - s.RunQueue
	return s
}
