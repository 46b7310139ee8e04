package thread

import "time"

// HasClock reports whether [CPU] returns the CPU time of the thread rather than of the process.
const HasClock = false

// CPU returns the CPU time of the whole process, including other threads. Windows reports a
// thread's CPU time only in steps of 16 ms, which is too coarse.
func CPU() time.Duration { return ProcessCPU() }
