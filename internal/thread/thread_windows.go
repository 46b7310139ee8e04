package thread

import "time"

// HasClock reports whether [CPU] returns the time of the thread.
const HasClock = false

// CPU returns the CPU time of the whole process, including other threads. The CPU time of a thread
// is too coarse on Windows, with steps of 16 ms.
func CPU() time.Duration { return ProcessCPU() }
